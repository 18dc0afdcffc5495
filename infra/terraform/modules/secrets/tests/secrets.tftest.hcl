mock_provider "google" {}

variables {
  project_id = "tandem-test"
  region     = "us-central1"
  accessors = {
    "inference-token"    = ["serviceAccount:a@tandem-test.iam.gserviceaccount.com", "serviceAccount:b@tandem-test.iam.gserviceaccount.com"]
    "hugging-face-token" = ["serviceAccount:a@tandem-test.iam.gserviceaccount.com"]
  }
}

run "each_reads_what_it_needs" {
  command = plan

  assert {
    condition     = length(google_secret_manager_secret_iam_member.accessor) == 3
    error_message = "Grants were lost or added."
  }

  assert {
    condition = alltrue([
      for grant in google_secret_manager_secret_iam_member.accessor :
      grant.secret_id == "inference-token" || grant.member == "serviceAccount:a@tandem-test.iam.gserviceaccount.com"
    ])
    error_message = "b may read a secret that it was not given."
  }
}

run "people_as_readers_are_refused" {
  command = plan

  variables {
    accessors = { "inference-token" = ["user:somebody@example.com"] }
  }

  expect_failures = [var.accessors]
}

run "slash_in_the_name_is_refused" {
  command = plan

  variables {
    accessors = { "inference/token" = [] }
  }

  expect_failures = [var.accessors]
}
