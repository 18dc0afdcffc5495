output "network" {
  description = "Id of the network."
  value       = google_compute_network.this.id
}

output "machines_subnetwork" {
  description = "Id of the machines' subnet."
  value       = google_compute_subnetwork.machines.id
}

output "containers_subnetwork" {
  description = "Id of the Cloud Run subnet; null where there is none."
  value       = one(google_compute_subnetwork.containers[*].id)
}

output "proxies_subnetwork" {
  description = "Id of the proxy-only subnet, for ordering; null where there is none."
  value       = one(google_compute_subnetwork.proxies[*].id)
}
