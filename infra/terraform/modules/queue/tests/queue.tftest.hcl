mock_provider "google" {}

variables {
  project_id     = "tandem-test"
  project_number = "123456789012"
  region         = "us-central1"
  topic          = "feedback-requests"
  subscription   = { name = "feedback-requests-worker" }
  dead_letter    = { topic = "feedback-requests-dead", subscription = "feedback-requests-dead-inspection" }
  publishers     = ["serviceAccount:tandem-chat@tandem-test.iam.gserviceaccount.com"]
}

run "dead_letters_arrive_and_stay" {
  command = plan

  assert {
    condition     = google_pubsub_subscription.this.dead_letter_policy[0].dead_letter_topic == "projects/tandem-test/topics/feedback-requests-dead"
    error_message = "The subscription does not point to its dead-letter topic."
  }

  assert {
    condition     = google_pubsub_topic_iam_member.agent_publishes_dead_letters.member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com" && google_pubsub_topic_iam_member.agent_publishes_dead_letters.topic == "feedback-requests-dead"
    error_message = "Pub/Sub's agent may not publish to the dead-letter topic."
  }

  assert {
    condition     = google_pubsub_subscription_iam_member.agent_takes_from_subscription.role == "roles/pubsub.subscriber" && google_pubsub_subscription_iam_member.agent_takes_from_subscription.subscription == "feedback-requests-worker"
    error_message = "Pub/Sub's agent may not take messages from the subscription."
  }

  assert {
    condition     = google_pubsub_subscription.dead_letters.topic == "projects/tandem-test/topics/feedback-requests-dead"
    error_message = "Nothing keeps the dead letters."
  }

  assert {
    condition     = google_pubsub_subscription.this.expiration_policy[0].ttl == "" && google_pubsub_subscription.dead_letters.expiration_policy[0].ttl == ""
    error_message = "An idle subscription would be deleted after 31 days."
  }
}

run "deadline_that_google_refuses_is_refused" {
  command = plan

  variables {
    subscription = { name = "feedback-requests-worker", ack_deadline_seconds = 601 }
  }

  expect_failures = [var.subscription]
}

run "attempts_that_google_refuses_are_refused" {
  command = plan

  variables {
    subscription = { name = "feedback-requests-worker", max_delivery_attempts = 3 }
  }

  expect_failures = [var.subscription]
}

run "queue_as_its_own_dead_letter_is_refused" {
  command = plan

  variables {
    dead_letter = { topic = "feedback-requests", subscription = "feedback-requests-dead-inspection" }
  }

  expect_failures = [var.dead_letter]
}

run "everybody_as_publisher_is_refused" {
  command = plan

  variables {
    publishers = ["allUsers"]
  }

  expect_failures = [var.publishers]
}

run "google_prefix_is_refused" {
  command = plan

  variables {
    topic = "google-requests"
  }

  expect_failures = [var.topic]
}

run "retention_over_a_month_is_refused" {
  command = plan

  variables {
    retention = "2678401s"
  }

  expect_failures = [var.retention]
}
