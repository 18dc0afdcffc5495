output "url" {
  description = "Where people chat, once the A record points to address and the certificate is made (up to an hour)."
  value       = module.front_door.url
}

output "address" {
  description = "For the domain's A record."
  value       = module.front_door.address
}

output "image_registry" {
  description = "Push images to ADDRESS/chat, /feedback and /inference."
  value       = module.registry.address
}

output "database_grants" {
  description = "Run once, signed in as postgres: docs/runbooks/first-deploy.md."
  value       = [for service, user in module.database.users : "GRANT CREATE, USAGE ON SCHEMA public TO \"${user}\"; -- in database ${service}"]
}

output "inference_group" {
  description = "gcloud compute instance-groups managed list-instances GROUP --region REGION"
  value       = module.inference.name
}

output "migrations" {
  description = "gcloud run jobs execute JOB --wait, before a new revision takes traffic."
  value       = [module.chat_migration.name, module.feedback_migration.name]
}

output "publish_to" {
  description = "Topic for feedback requests of other teams."
  value       = "projects/${var.project_id}/topics/${module.feedback_requests.topic}"
}
