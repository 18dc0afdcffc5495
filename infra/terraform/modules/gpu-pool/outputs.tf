output "instance_group" {
  description = "What a load balancer sends requests to."
  value       = google_compute_region_instance_group_manager.this.instance_group
}

output "name" {
  description = "Name of the group, for gcloud."
  value       = google_compute_region_instance_group_manager.this.name
}

output "l4s_per_machine" {
  description = "GPUs in one machine."
  value       = local.l4s
}
