# A topic with its one subscription, the dead-letter topic behind it, and all grants on them. Pub/Sub moves a message to the
# dead letters only with both grants of its service agent, and says nothing when one is missing.

locals {
  topic_path             = "projects/${var.project_id}/topics/${var.topic}"
  dead_letter_topic_path = "projects/${var.project_id}/topics/${var.dead_letter.topic}"
  pubsub_agent           = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
  never                  = ""
}

resource "google_pubsub_topic" "this" {
  project = var.project_id
  name    = var.topic

  message_retention_duration = var.retention

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}

resource "google_pubsub_topic" "dead_letters" {
  project = var.project_id
  name    = var.dead_letter.topic

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}

resource "google_pubsub_subscription" "this" {
  project = var.project_id
  name    = var.subscription.name
  topic   = local.topic_path

  ack_deadline_seconds       = var.subscription.ack_deadline_seconds
  message_retention_duration = var.retention

  expiration_policy {
    ttl = local.never
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = local.dead_letter_topic_path
    max_delivery_attempts = var.subscription.max_delivery_attempts
  }

  depends_on = [google_pubsub_topic.this, google_pubsub_topic.dead_letters]
}

# Without a subscription the dead letters would be dropped as they arrive, and there would be no backlog to alert on.
resource "google_pubsub_subscription" "dead_letters" {
  project = var.project_id
  name    = var.dead_letter.subscription
  topic   = local.dead_letter_topic_path

  ack_deadline_seconds       = 60
  message_retention_duration = "2678400s"

  expiration_policy {
    ttl = local.never
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  depends_on = [google_pubsub_topic.dead_letters]
}

resource "google_pubsub_topic_iam_member" "agent_publishes_dead_letters" {
  project = var.project_id
  topic   = google_pubsub_topic.dead_letters.name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "agent_takes_from_subscription" {
  project      = var.project_id
  subscription = google_pubsub_subscription.this.name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent

  lifecycle {
    replace_triggered_by = [google_pubsub_subscription.this.id]
  }
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = var.publishers

  project = var.project_id
  topic   = google_pubsub_topic.this.name
  role    = "roles/pubsub.publisher"
  member  = each.value
}

resource "google_pubsub_subscription_iam_member" "subscriber" {
  for_each = var.subscribers

  project      = var.project_id
  subscription = google_pubsub_subscription.this.name
  role         = "roles/pubsub.subscriber"
  member       = each.value
}

resource "google_pubsub_topic_iam_member" "dead_letter_publisher" {
  for_each = var.dead_letter_publishers

  project = var.project_id
  topic   = google_pubsub_topic.dead_letters.name
  role    = "roles/pubsub.publisher"
  member  = each.value
}
