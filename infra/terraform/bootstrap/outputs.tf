output "state_bucket" {
  description = "For backend.hcl of the environment."
  value       = google_storage_bucket.states.name
}

output "workload_identity_provider" {
  description = "For the repository variable WORKLOAD_IDENTITY_PROVIDER."
  value       = google_iam_workload_identity_pool_provider.github.name
}

output "ci_plan" {
  description = "For the repository variable CI_PLAN."
  value       = google_service_account.ci["plan"].email
}

output "ci_apply" {
  description = "For the environment variable CI_APPLY, and the deployer of the environment's tfvars."
  value       = google_service_account.ci["apply"].email
}
