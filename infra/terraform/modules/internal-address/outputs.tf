output "url" {
  description = "Address for callers inside the network."
  value       = "http://${var.address}:${var.port}"
  depends_on  = [google_compute_forwarding_rule.this]
}

output "url_map" {
  description = "Name of the URL map, for alerts."
  value       = google_compute_region_url_map.this.name
}
