mock_provider "google" {}

variables {
  project_id      = "tandem-test"
  region          = "us-central1"
  service_account = "tandem-chat@tandem-test.iam.gserviceaccount.com"
  network         = "projects/tandem-test/global/networks/tandem"
  subnetwork      = "projects/tandem-test/regions/us-central1/subnetworks/containers"
  image           = "us-central1-docker.pkg.dev/tandem-test/tandem/chat@sha256:1111111111111111111111111111111111111111111111111111111111111111"
  name            = "feedback"
  instances       = 2
  database        = { variable = "TANDEM_CHAT_DATABASE_URL", url = "postgresql+asyncpg://u@127.0.0.1:5432/chat", connection_name = "tandem-test:us-central1:tandem", proxy_image = "gcr.io/p/proxy@sha256:2222222222222222222222222222222222222222222222222222222222222222" }
}

run "the_named_number_of_workers_runs" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_worker_pool.this.scaling[0].scaling_mode == "MANUAL" && google_cloud_run_v2_worker_pool.this.scaling[0].manual_instance_count == 2
    error_message = "The pool has another number of workers than it was given."
  }

  assert {
    condition     = google_cloud_run_v2_worker_pool.this.template[0].vpc_access[0].egress == "PRIVATE_RANGES_ONLY"
    error_message = "Everything that the worker sends goes through the network, and through NAT."
  }
}

run "no_worker_is_refused" {
  command = plan

  variables {
    instances = 0
  }

  expect_failures = [var.instances]
}

run "image_by_tag_is_refused" {
  command = plan

  variables {
    image = "us-central1-docker.pkg.dev/tandem-test/tandem/feedback:1.0"
  }

  expect_failures = [var.image]
}

run "default_service_account_is_refused" {
  command = plan

  variables {
    service_account = "123456789012-compute@developer.gserviceaccount.com"
  }

  expect_failures = [var.service_account]
}
