mock_provider "google" {}

variables {
  project_id   = "tandem-test"
  account_id   = "tandem-chat"
  display_name = "Chat"
}

run "address_is_known_before_it_exists" {
  command = plan

  assert {
    condition     = output.member == "serviceAccount:tandem-chat@tandem-test.iam.gserviceaccount.com"
    error_message = "The member is not built from names, and plans would show nothing of it."
  }

  assert {
    condition     = length(google_project_iam_member.telemetry) == 0
    error_message = "An identity that was not asked to write telemetry has roles on the project."
  }
}

run "machines_may_write_telemetry_and_nothing_else" {
  command = plan

  variables {
    writes_telemetry = true
  }

  assert {
    condition     = toset(keys(google_project_iam_member.telemetry)) == toset(["roles/logging.logWriter", "roles/monitoring.metricWriter"])
    error_message = "Other roles than writing logs and metrics are granted on the project."
  }
}

run "everybody_as_deployer_is_refused" {
  command = plan

  variables {
    deployers = ["allAuthenticatedUsers"]
  }

  expect_failures = [var.deployers]
}

run "short_account_id_is_refused" {
  command = plan

  variables {
    account_id = "chat"
  }

  expect_failures = [var.account_id]
}
