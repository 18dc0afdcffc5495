output "url" {
  description = "Address for callers inside the network."
  value       = "http://${var.address}:${var.port}"
  depends_on  = [google_compute_forwarding_rule.this]
}

output "backend_service" {
  description = "Name of the backend service, for alerts."
  value       = google_compute_region_backend_service.this.name
}
