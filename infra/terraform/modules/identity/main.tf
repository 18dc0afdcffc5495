# One service account and nothing it may do by itself: grants stand beside the resources they open.
# Exception: writing logs and metrics has no resource to be granted on, so those two roles are given on the project.

locals {
  email  = "${var.account_id}@${var.project_id}.iam.gserviceaccount.com"
  member = "serviceAccount:${local.email}"
  telemetry_roles = var.writes_telemetry ? toset([
    "roles/logging.logWriter",
    "roles/monitoring.metricWriter",
  ]) : toset([])
}

resource "google_service_account" "this" {
  project      = var.project_id
  account_id   = var.account_id
  display_name = var.display_name
}

resource "google_project_iam_member" "telemetry" {
  for_each = local.telemetry_roles

  project = var.project_id
  role    = each.value
  member  = local.member

  depends_on = [google_service_account.this]
}

# Whoever deploys has to be allowed to start something under this identity, and under this one only.
resource "google_service_account_iam_member" "deployer" {
  for_each = var.deployers

  service_account_id = google_service_account.this.name
  role               = "roles/iam.serviceAccountUser"
  member             = each.value
}
