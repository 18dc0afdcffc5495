# PostgreSQL without a public address. Services sign in with their own identity: there is no password to keep or lose.

locals {
  users = { for service, email in var.services : service => trimsuffix(email, ".gserviceaccount.com") }
  grants = merge([
    for service, email in var.services : {
      for role in ["roles/cloudsql.client", "roles/cloudsql.instanceUser"] : "${service} ${role}" => { email = email, role = role }
    }
  ]...)
}

resource "google_compute_global_address" "peering" {
  project       = var.project_id
  name          = "${var.name}-peering"
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
  network       = var.network
}

# ABANDON: Google refuses to remove the peering while a deleted instance lingers, for days.
resource "google_service_networking_connection" "this" {
  network                 = var.network
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.peering.name]
  deletion_policy         = "ABANDON"
}

resource "google_sql_database_instance" "this" {
  project             = var.project_id
  name                = var.name
  region              = var.region
  database_version    = "POSTGRES_17"
  deletion_protection = true

  settings {
    tier                        = var.tier
    edition                     = "ENTERPRISE"
    availability_type           = var.highly_available ? "REGIONAL" : "ZONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = 10
    disk_autoresize             = true
    disk_autoresize_limit       = 200
    deletion_protection_enabled = true
    retain_backups_on_delete    = true
    # Only the proxy with its client certificate gets in, not a bare connection with a guessed address.
    connector_enforcement = "REQUIRED"

    ip_configuration {
      ipv4_enabled    = false
      private_network = var.network
      ssl_mode        = "ENCRYPTED_ONLY"
    }

    backup_configuration {
      enabled                        = true
      start_time                     = "02:00"
      location                       = var.region
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = 7

      backup_retention_settings {
        retained_backups = var.retained_backups
        retention_unit   = "COUNT"
      }
    }

    maintenance_window {
      day          = 7
      hour         = 4
      update_track = "stable"
    }

    insights_config {
      query_insights_enabled = true
    }

    dynamic "database_flags" {
      for_each = {
        "cloudsql.iam_authentication" = "on"
        "cloudsql.enable_pgaudit"     = "on"
        "log_checkpoints"             = "on"
        "log_connections"             = "on"
        "log_disconnections"          = "on"
        "log_duration"                = "off"
        "log_hostname"                = "on"
        "log_lock_waits"              = "on"
        "log_min_error_statement"     = "error"
        "log_statement"               = "ddl"
      }

      content {
        name  = database_flags.key
        value = database_flags.value
      }
    }
  }

  depends_on = [google_service_networking_connection.this]

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_sql_database" "this" {
  for_each = var.services

  project         = var.project_id
  instance        = google_sql_database_instance.this.name
  name            = each.key
  deletion_policy = "ABANDON"
}

resource "google_sql_user" "this" {
  for_each = local.users

  project  = var.project_id
  instance = google_sql_database_instance.this.name
  name     = each.value
  type     = "CLOUD_IAM_SERVICE_ACCOUNT"
}

# Cloud SQL has no grants on an instance: a condition on the project's grant names the one instance instead.
resource "google_project_iam_member" "this" {
  for_each = local.grants

  project = var.project_id
  role    = each.value.role
  member  = "serviceAccount:${each.value.email}"

  condition {
    title      = "${var.name}-only"
    expression = "resource.service == \"sqladmin.googleapis.com\" && resource.name == \"projects/${var.project_id}/instances/${var.name}\""
  }
}
