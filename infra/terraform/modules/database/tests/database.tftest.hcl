mock_provider "google" {}

variables {
  project_id       = "tandem-test"
  region           = "us-central1"
  name             = "tandem"
  network          = "projects/tandem-test/global/networks/tandem"
  highly_available = true
  services         = { chat = "tandem-chat@tandem-test.iam.gserviceaccount.com" }
}

run "signs_in_without_a_password" {
  command = plan

  assert {
    condition     = google_sql_user.this["chat"].name == "tandem-chat@tandem-test.iam" && google_sql_user.this["chat"].type == "CLOUD_IAM_SERVICE_ACCOUNT"
    error_message = "The user is not the one that IAM authentication knows."
  }

  assert {
    condition     = output.urls["chat"] == "postgresql+asyncpg://tandem-chat%40tandem-test.iam@127.0.0.1:5432/chat"
    error_message = "The address is not the one of the proxy beside the service."
  }

  assert {
    condition     = alltrue([for grant in google_project_iam_member.this : strcontains(grant.condition[0].expression, "projects/tandem-test/instances/tandem\"")])
    error_message = "A service may sign in to other databases of the project."
  }
}

run "is_private_and_kept" {
  command = plan

  assert {
    condition     = !google_sql_database_instance.this.settings[0].ip_configuration[0].ipv4_enabled && google_sql_database_instance.this.settings[0].ip_configuration[0].ssl_mode == "ENCRYPTED_ONLY"
    error_message = "The database has a public address or takes plain connections."
  }

  assert {
    condition     = google_sql_database_instance.this.settings[0].availability_type == "REGIONAL" && google_sql_database_instance.this.settings[0].backup_configuration[0].point_in_time_recovery_enabled
    error_message = "No standby, or no restore to a point in time."
  }
}

run "machine_that_the_edition_refuses_is_refused" {
  command = plan

  variables {
    tier = "db-perf-optimized-N-2"
  }

  expect_failures = [var.tier]
}

run "two_backups_are_refused" {
  command = plan

  variables {
    retained_backups = 2
  }

  expect_failures = [var.retained_backups]
}

run "person_as_service_is_refused" {
  command = plan

  variables {
    services = { chat = "somebody@example.com" }
  }

  expect_failures = [var.services]
}

run "name_with_underscore_is_refused" {
  command = plan

  variables {
    name = "tandem_db"
  }

  expect_failures = [var.name]
}
