output "notification_channels" {
  description = "Ids of the channels, for the budget."
  value       = local.channels
}
