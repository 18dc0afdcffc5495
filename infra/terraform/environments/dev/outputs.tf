output "connect" {
  description = "Run this, leave it open, and chat at http://127.0.0.1:8000. MACHINE: first column of list_machines."
  value       = "gcloud compute ssh MACHINE --tunnel-through-iap --project ${var.project_id} -- -N -L 8000:127.0.0.1:8000"
}

output "list_machines" {
  description = "Shows the machine's name, zone and state."
  value       = "gcloud compute instance-groups managed list-instances ${module.machine.name} --region ${var.region} --project ${var.project_id}"
}

output "image_registry" {
  description = "Push images to ADDRESS/chat, /feedback and /inference."
  value       = module.registry.address
}

output "publish_to" {
  description = "Topic for feedback requests of other teams."
  value       = "projects/${var.project_id}/topics/${module.feedback_requests.topic}"
}
