mock_provider "google" {}

variables {
  project_id      = "tandem-test"
  region          = "us-central1"
  service_account = "tandem-chat@tandem-test.iam.gserviceaccount.com"
  network         = "projects/tandem-test/global/networks/tandem"
  subnetwork      = "projects/tandem-test/regions/us-central1/subnetworks/containers"
  image           = "us-central1-docker.pkg.dev/tandem-test/tandem/chat@sha256:1111111111111111111111111111111111111111111111111111111111111111"
  name            = "chat-migration"
  command         = "tandem-chat migrate"
  database        = { variable = "TANDEM_CHAT_DATABASE_URL", url = "postgresql+asyncpg://u@127.0.0.1:5432/chat", connection_name = "tandem-test:us-central1:tandem", proxy_image = "gcr.io/p/proxy@sha256:2222222222222222222222222222222222222222222222222222222222222222" }
}

run "migrates_once_and_says_how_it_went" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_job.this.template[0].task_count == 1 && google_cloud_run_v2_job.this.template[0].template[0].max_retries == 0
    error_message = "Two migrations could run at once."
  }

  assert {
    condition     = startswith(google_cloud_run_v2_job.this.template[0].template[0].containers[0].args[0], "tandem-chat migrate; code=$?;") && endswith(google_cloud_run_v2_job.this.template[0].template[0].containers[0].args[0], "exit $code")
    error_message = "A failed migration would look like a good one."
  }
}

run "proxy_by_tag_is_refused" {
  command = plan

  variables {
    database = { variable = "TANDEM_CHAT_DATABASE_URL", url = "postgresql+asyncpg://u@127.0.0.1:5432/chat", connection_name = "a:b:c", proxy_image = "gcr.io/p/proxy:2" }
  }

  expect_failures = [var.database]
}
