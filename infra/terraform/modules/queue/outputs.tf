output "topic" {
  description = "Name of the topic."
  value       = var.topic
  depends_on  = [google_pubsub_topic.this]
}

output "subscription" {
  description = "Name of the subscription."
  value       = var.subscription.name
  depends_on  = [google_pubsub_subscription.this]
}

output "dead_letter_subscription" {
  description = "Name of the subscription that keeps the dead letters."
  value       = var.dead_letter.subscription
  depends_on  = [google_pubsub_subscription.dead_letters]
}
