mock_provider "google" {}

variables {
  project_id     = "tandem-test"
  project_number = "123456789012"
  region         = "us-central1"
  name           = "tandem-chat"
  service        = "chat"
  domain         = "chat.example.com"
  users          = ["group:chat-users@example.com"]
}

run "people_sign_in_and_are_limited" {
  command = plan

  assert {
    condition     = google_compute_backend_service.this.iap[0].enabled
    error_message = "Anybody could use the GPU."
  }

  assert {
    condition     = anytrue([for rule in google_compute_security_policy.this.rule : rule.action == "throttle" ? rule.rate_limit_options[0].rate_limit_threshold[0].count == 300 : false])
    error_message = "Nobody is limited."
  }

  assert {
    condition     = google_compute_url_map.redirect.default_url_redirect[0].https_redirect && google_compute_ssl_policy.this.min_tls_version == "TLS_1_2"
    error_message = "Plain HTTP or old TLS is answered."
  }

  assert {
    condition     = output.iap_agent == "serviceAccount:service-123456789012@gcp-sa-iap.iam.gserviceaccount.com"
    error_message = "The proxy's agent is not the project's."
  }
}

run "everybody_as_user_is_refused" {
  command = plan

  variables {
    users = ["allUsers"]
  }

  expect_failures = [var.users]
}

run "nobody_as_user_is_refused" {
  command = plan

  variables {
    users = []
  }

  expect_failures = [var.users]
}

run "address_instead_of_domain_is_refused" {
  command = plan

  variables {
    domain = "https://chat.example.com/"
  }

  expect_failures = [var.domain]
}

run "no_limit_is_refused" {
  command = plan

  variables {
    requests_per_minute = 0
  }

  expect_failures = [var.requests_per_minute]
}

run "project_id_instead_of_number_is_refused" {
  command = plan

  variables {
    project_number = "tandem-test"
  }

  expect_failures = [var.project_number]
}
