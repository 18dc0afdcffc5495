mock_provider "google" {}

variables {
  project_id         = "tandem-test"
  name               = "inference"
  region             = "us-central1"
  network            = "projects/tandem-test/global/networks/tandem"
  subnetwork         = "projects/tandem-test/regions/us-central1/subnetworks/machines"
  proxies_subnetwork = "projects/tandem-test/regions/us-central1/subnetworks/proxies"
  address            = "10.10.0.10"
  port               = 8800
  instance_group     = "projects/tandem-test/regions/us-central1/instanceGroups/pool"
}

run "requests_go_to_machines_whose_model_answers" {
  command = plan

  assert {
    condition     = google_compute_region_health_check.this.http_health_check[0].request_path == "/ready"
    error_message = "A machine without a model would get requests."
  }

  assert {
    condition     = google_compute_region_backend_service.this.timeout_sec == 3600
    error_message = "Long answers are cut off."
  }

  assert {
    condition     = output.url == "http://10.10.0.10:8800" && google_compute_address.this.address_type == "INTERNAL"
    error_message = "The address is not the private one that was asked for."
  }
}

run "public_address_is_refused" {
  command = plan

  variables {
    address = "34.1.2.3"
  }

  expect_failures = [var.address]
}

run "limit_that_cuts_answers_off_is_refused" {
  command = plan

  variables {
    longest_answer_seconds = 30
  }

  expect_failures = [var.longest_answer_seconds]
}

run "network_without_proxies_is_refused" {
  command = plan

  variables {
    proxies_subnetwork = null
  }

  expect_failures = [google_compute_forwarding_rule.this]
}
