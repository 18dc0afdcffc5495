mock_provider "google" {}

variables {
  project_id     = "tandem-test"
  project_number = "123456789012"
  region         = "us-central1"
  state_bucket   = "tandem-test-states"
  github         = { owner = "example-team", owner_id = "1234567", repository = "tandem", environment = "prod" }
}

run "only_the_branch_in_its_environment_applies" {
  command = plan

  assert {
    condition     = endswith(google_service_account_iam_member.apply.member, "/attribute.deploys/example-team/tandem@refs/heads/main@prod")
    error_message = "Another branch or another environment may apply."
  }

  assert {
    condition     = strcontains(google_iam_workload_identity_pool_provider.github.attribute_condition, "assertion.repository == \"example-team/tandem\"")
    error_message = "Another repository may come in."
  }
}

run "states_can_be_taken_back" {
  command = plan

  assert {
    condition     = google_storage_bucket.states.versioning[0].enabled && google_storage_bucket.states.public_access_prevention == "enforced"
    error_message = "A spoilt state is lost, or a state can be made public."
  }
}

run "wildcard_as_repository_is_refused" {
  command = plan

  variables {
    github = { owner = "example-team", owner_id = "1234567", repository = "*", environment = "prod" }
  }

  expect_failures = [var.github]
}

run "owner_name_as_id_is_refused" {
  command = plan

  variables {
    github = { owner = "example-team", owner_id = "example-team", repository = "tandem", environment = "prod" }
  }

  expect_failures = [var.github]
}

run "zone_as_region_is_refused" {
  command = plan

  variables {
    region = "us-central1-a"
  }

  expect_failures = [var.region]
}

run "google_in_a_bucket_name_is_refused" {
  command = plan

  variables {
    state_bucket = "my-google-states"
  }

  expect_failures = [var.state_bucket]
}
