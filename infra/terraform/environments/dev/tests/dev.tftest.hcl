mock_provider "google" {}

variables {
  project_id     = "tandem-example-dev"
  project_number = "123456789012"
  region         = "us-central1"

  operators    = ["group:developers@example.com"]
  alert_emails = ["developers@example.com"]

  deployers     = ["serviceAccount:tandem-ci-apply@tandem-example-dev.iam.gserviceaccount.com"]
  image_writers = ["serviceAccount:tandem-ci-apply@tandem-example-dev.iam.gserviceaccount.com"]

  budget = {
    billing_account = "ABCDEF-012345-6789AB"
    monthly_amount  = 450
  }

  machine = {
    machine_type = "g2-standard-4"
    zones        = ["us-central1-a", "us-central1-b", "us-central1-c"]
    spot         = true
  }

  images = {
    chat      = "us-central1-docker.pkg.dev/tandem-example-dev/tandem/chat@sha256:1111111111111111111111111111111111111111111111111111111111111111"
    feedback  = "us-central1-docker.pkg.dev/tandem-example-dev/tandem/feedback@sha256:2222222222222222222222222222222222222222222222222222222222222222"
    inference = "us-central1-docker.pkg.dev/tandem-example-dev/tandem/inference@sha256:3333333333333333333333333333333333333333333333333333333333333333"
    collector = "us-docker.pkg.dev/cloud-ops-agents-artifacts/google-cloud-opentelemetry-collector/otelcol-google@sha256:5555555555555555555555555555555555555555555555555555555555555555"
  }

  secret_versions = {
    "inference-token"    = "1"
    "hugging-face-token" = "1"
  }
}

run "chat_stays_on_loopback" {
  command = plan

  assert {
    condition     = local.containers.chat.environment.TANDEM_CHAT_HOST == "127.0.0.1"
    error_message = "Chat, which has no sign-in, can be reached over the network."
  }

  assert {
    condition     = strcontains(output.connect, "--tunnel-through-iap")
    error_message = "The way in does not go through IAP."
  }
}

run "zone_of_another_region_is_refused" {
  command = plan

  variables {
    region = "europe-west4"
  }

  expect_failures = [var.machine]
}

run "latest_secret_is_refused" {
  command = plan

  variables {
    secret_versions = { "inference-token" = "latest", "hugging-face-token" = "1" }
  }

  expect_failures = [var.secret_versions]
}

run "missing_secret_version_is_refused" {
  command = plan

  variables {
    secret_versions = { "inference-token" = "1" }
  }

  expect_failures = [var.secret_versions]
}

run "project_name_in_upper_case_is_refused" {
  command = plan

  variables {
    project_id = "Tandem"
  }

  expect_failures = [var.project_id]
}
