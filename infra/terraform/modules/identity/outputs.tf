# Built from names, not read back, so that a plan shows them; depends_on keeps the order.
output "email" {
  description = "Address of the service account."
  value       = local.email
  depends_on  = [google_service_account.this]
}

output "member" {
  description = "The service account as IAM writes it."
  value       = local.member
  depends_on  = [google_service_account.this]
}
