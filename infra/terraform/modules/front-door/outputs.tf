output "address" {
  description = "Address for the domain's A record."
  value       = google_compute_global_address.this.address
}

output "iap_agent" {
  description = "Who calls the service on behalf of people: grant it run.invoker."
  value       = local.iap_agent
}

output "url" {
  description = "What people type."
  value       = "https://${var.domain}/"
}

output "url_map" {
  description = "Name of the URL map, for alerts."
  value       = google_compute_url_map.https.name
}
