# Who may open a shell on these machines, and forward a port through it: by IAP and OS Login, on these machines only.

resource "google_iap_tunnel_iam_member" "ssh" {
  for_each = var.operators

  project = var.project_id
  role    = "roles/iap.tunnelResourceAccessor"
  member  = each.value

  condition {
    title      = "ssh-only"
    expression = "destination.port == 22"
  }
}

resource "google_project_iam_member" "os_login" {
  for_each = var.operators

  project = var.project_id
  role    = "roles/compute.osAdminLogin"
  member  = each.value

  condition {
    title      = "${var.name}-machines-only"
    expression = "resource.type == \"compute.googleapis.com/Instance\" && resource.name.extract(\"/instances/{name}\").startsWith(\"${var.name}-\")"
  }
}
