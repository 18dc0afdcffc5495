mock_provider "google" {}

variables {
  project_id      = "tandem-test"
  region          = "us-central1"
  service_account = "tandem-chat@tandem-test.iam.gserviceaccount.com"
  network         = "projects/tandem-test/global/networks/tandem"
  subnetwork      = "projects/tandem-test/regions/us-central1/subnetworks/containers"
  image           = "us-central1-docker.pkg.dev/tandem-test/tandem/chat@sha256:1111111111111111111111111111111111111111111111111111111111111111"
  name            = "chat"
  port            = 8000
  instances       = { min = 1, max = 4 }
  invokers        = ["serviceAccount:service-1@gcp-sa-iap.iam.gserviceaccount.com"]
  database        = { variable = "TANDEM_CHAT_DATABASE_URL", url = "postgresql+asyncpg://u@127.0.0.1:5432/chat", connection_name = "tandem-test:us-central1:tandem", proxy_image = "gcr.io/p/proxy@sha256:2222222222222222222222222222222222222222222222222222222222222222" }
}

run "cannot_be_reached_past_the_front_door" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service.this.ingress == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" && google_cloud_run_v2_service.this.default_uri_disabled && !google_cloud_run_v2_service.this.invoker_iam_disabled
    error_message = "The service can be called from the internet."
  }

  assert {
    condition     = toset(keys(google_cloud_run_v2_service_iam_member.invoker)) == var.invokers
    error_message = "Others than the named may call it."
  }
}

run "works_between_requests_and_signs_in_through_the_proxy" {
  command = plan

  assert {
    condition     = alltrue([for container in google_cloud_run_v2_service.this.template[0].containers : container.resources[0].cpu_idle == false])
    error_message = "A container is throttled between requests."
  }

  assert {
    condition     = contains(google_cloud_run_v2_service.this.template[0].containers[1].args, "--auto-iam-authn") && google_cloud_run_v2_service.this.template[0].containers[0].depends_on[0] == "database-proxy"
    error_message = "The service starts before its way to the database is open."
  }
}

run "no_database_means_no_proxy" {
  command = plan

  variables {
    database = null
  }

  assert {
    condition     = length(google_cloud_run_v2_service.this.template[0].containers) == 1
    error_message = "There is a proxy to a database that was not asked for."
  }
}

run "everybody_as_invoker_is_refused" {
  command = plan

  variables {
    invokers = ["allUsers"]
  }

  expect_failures = [var.invokers]
}

run "scaling_to_zero_is_refused" {
  command = plan

  variables {
    instances = { min = 0, max = 4 }
  }

  expect_failures = [var.instances]
}

run "own_port_variable_is_refused" {
  command = plan

  variables {
    environment = { PORT = "8000" }
  }

  expect_failures = [var.environment]
}

run "latest_secret_is_refused" {
  command = plan

  variables {
    secrets = { TANDEM_CHAT_INFERENCE_TOKEN = { name = "inference-token", version = "latest" } }
  }

  expect_failures = [var.secrets]
}

run "image_by_tag_is_refused" {
  command = plan

  variables {
    image = "us-central1-docker.pkg.dev/tandem-test/tandem/chat:1.0"
  }

  expect_failures = [var.image]
}

run "password_in_the_database_address_is_refused" {
  command = plan

  variables {
    database = { variable = "TANDEM_CHAT_DATABASE_URL", url = "postgresql+asyncpg://u:p@127.0.0.1/chat", connection_name = "a:b:c", proxy_image = "gcr.io/p/proxy@sha256:2222222222222222222222222222222222222222222222222222222222222222" }
  }

  expect_failures = [var.database]
}
