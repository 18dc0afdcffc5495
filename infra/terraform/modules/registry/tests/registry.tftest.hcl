mock_provider "google" {}

variables {
  project_id = "tandem-test"
  region     = "europe-west4"
  name       = "tandem"
  readers    = ["serviceAccount:tandem-chat@tandem-test.iam.gserviceaccount.com"]
}

run "tags_never_move" {
  command = plan

  assert {
    condition     = google_artifact_registry_repository.this.docker_config[0].immutable_tags
    error_message = "A tag could be moved under a running service."
  }

  assert {
    condition     = output.address == "europe-west4-docker.pkg.dev/tandem-test/tandem"
    error_message = "The address is not the one that docker push wants."
  }

  assert {
    condition     = length(google_artifact_registry_repository_iam_member.writer) == 0
    error_message = "Somebody may push who was not named."
  }
}

run "underscore_in_the_name_is_refused" {
  command = plan

  variables {
    name = "tandem_images"
  }

  expect_failures = [var.name]
}
