mock_provider "google" {}

variables {
  project_id     = "tandem-example-prod"
  project_number = "123456789012"
  region         = "us-central1"

  domain       = "chat.example.com"
  users        = ["group:chat-users@example.com"]
  operators    = ["group:operators@example.com"]
  alert_emails = ["on-call@example.com"]

  deployers     = ["serviceAccount:tandem-ci-apply@tandem-example-prod.iam.gserviceaccount.com"]
  image_writers = ["serviceAccount:tandem-ci-apply@tandem-example-prod.iam.gserviceaccount.com"]

  budget = {
    billing_account = "ABCDEF-012345-6789AB"
    monthly_amount  = 1500
  }

  inference = {
    machine_type = "g2-standard-8"
    zones        = ["us-central1-a", "us-central1-b", "us-central1-c"]
    size         = { min = 1, max = 3 }
    kept_disk = {
      size_gb = 100
      image   = "projects/tandem-example-prod/global/images/family/tandem-cache"
    }
  }

  images = {
    chat           = "us-central1-docker.pkg.dev/tandem-example-prod/tandem/chat@sha256:1111111111111111111111111111111111111111111111111111111111111111"
    feedback       = "us-central1-docker.pkg.dev/tandem-example-prod/tandem/feedback@sha256:2222222222222222222222222222222222222222222222222222222222222222"
    inference      = "us-central1-docker.pkg.dev/tandem-example-prod/tandem/inference@sha256:3333333333333333333333333333333333333333333333333333333333333333"
    database_proxy = "gcr.io/cloud-sql-connectors/cloud-sql-proxy@sha256:4444444444444444444444444444444444444444444444444444444444444444"
    collector      = "us-docker.pkg.dev/cloud-ops-agents-artifacts/google-cloud-opentelemetry-collector/otelcol-google@sha256:5555555555555555555555555555555555555555555555555555555555555555"
  }

  secret_versions = {
    "inference-token"    = "1"
    "hugging-face-token" = "1"
  }
}

run "callers_use_the_address_of_the_load_balancer" {
  command = plan

  assert {
    condition     = output.url == "https://chat.example.com/" && local.inference_address == "10.10.0.10"
    error_message = "People or services are sent elsewhere."
  }

  assert {
    condition     = local.model == "qwen3-8b"
    error_message = "Chat asks for another model than engines.yaml serves."
  }
}

run "one_zone_is_refused" {
  command = plan

  variables {
    inference = { machine_type = "g2-standard-8", zones = ["us-central1-a"], size = { min = 1, max = 1 }, kept_disk = { size_gb = 100 } }
  }

  expect_failures = [var.inference]
}

run "zone_of_another_region_is_refused" {
  command = plan

  variables {
    region = "europe-west4"
  }

  expect_failures = [var.inference]
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
