output "names" {
  description = "Names of the secrets, by themselves."
  value       = { for name in keys(var.accessors) : name => name }
  depends_on  = [google_secret_manager_secret.this, google_secret_manager_secret_iam_member.accessor]
}
