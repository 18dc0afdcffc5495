mock_provider "google" {}

variables {
  project_id = "tandem-test"
  name       = "tandem"
  emails     = ["on-call@example.com"]
  pool       = { name = "pool", min = 1 }
  queues     = { requests = { subscription = "s", dead_letter_subscription = "d", oldest_age_seconds = 3600 } }
}

run "first_dead_letter_and_old_messages_are_told" {
  command = plan

  assert {
    condition     = google_monitoring_alert_policy.threshold["requests has dead letters"].conditions[0].condition_threshold[0].threshold_value == 0
    error_message = "The first dead letter is not told."
  }

  assert {
    condition     = google_monitoring_alert_policy.threshold["requests waits too long"].conditions[0].condition_threshold[0].threshold_value == 3600
    error_message = "Messages wait longer than was asked for before it is told."
  }
}

run "wanted_empty_group_is_no_alert" {
  command = plan

  variables {
    pool = { name = "pool", min = 0 }
  }

  assert {
    condition     = !contains(keys(google_monitoring_alert_policy.threshold), "machines are missing")
    error_message = "A group that may be empty raises an alert when it is."
  }
}

run "telling_nobody_is_refused" {
  command = plan

  variables {
    emails = []
  }

  expect_failures = [var.emails]
}

run "impatient_queue_is_refused" {
  command = plan

  variables {
    queues = { requests = { subscription = "s", dead_letter_subscription = "d", oldest_age_seconds = 5 } }
  }

  expect_failures = [var.queues]
}
