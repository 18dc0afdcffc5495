output "connection_name" {
  description = "What the Cloud SQL proxy connects to."
  value       = "${var.project_id}:${var.region}:${var.name}"
  depends_on  = [google_sql_database_instance.this, google_project_iam_member.this]
}

output "urls" {
  description = "For each service the SQLAlchemy address through the proxy beside it. It holds no password: the proxy signs in."
  value       = { for service, user in local.users : service => "postgresql+asyncpg://${replace(user, "@", "%40")}@127.0.0.1:5432/${service}" }
  depends_on  = [google_sql_database.this, google_sql_user.this]
}

output "instance" {
  description = "Name of the instance, for gcloud and alerts."
  value       = google_sql_database_instance.this.name
}

output "users" {
  description = "For each service its database user, for the GRANT statements of the first deploy."
  value       = local.users
}
