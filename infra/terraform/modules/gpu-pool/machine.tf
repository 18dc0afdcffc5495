# What one machine is: an L4 comes with the machine type, Container-Optimized OS runs the containers, user-data brings all else.

locals {
  l4s_by_machine_type = {
    "g2-standard-4"  = 1
    "g2-standard-8"  = 1
    "g2-standard-12" = 1
    "g2-standard-16" = 1
    "g2-standard-32" = 1
    "g2-standard-24" = 2
    "g2-standard-48" = 4
    "g2-standard-96" = 8
  }
  l4s = local.l4s_by_machine_type[var.machine_type]
}

resource "google_compute_instance_template" "this" {
  project      = var.project_id
  name_prefix  = "${var.name}-"
  description  = "Tandem on L4"
  region       = var.region
  machine_type = var.machine_type

  disk {
    boot         = true
    auto_delete  = true
    source_image = "projects/cos-cloud/global/images/family/${var.image_family}"
    disk_type    = "pd-balanced"
    disk_size_gb = var.boot_disk_gb
  }

  # Weights, compile cache and local data, apart from the boot disk that every new template replaces.
  disk {
    device_name       = local.kept_device
    boot              = false
    auto_delete       = !local.stateful
    source_image      = var.kept_disk.image
    disk_type         = var.kept_disk.type
    disk_size_gb      = var.kept_disk.size_gb
    resource_policies = local.stateful ? [google_compute_resource_policy.snapshots[0].id] : []
  }

  network_interface {
    subnetwork = var.subnetwork
  }

  service_account {
    email  = var.service_account
    scopes = ["https://www.googleapis.com/auth/cloud-platform"]
  }

  # Machines with a GPU cannot be moved to another host while they run.
  scheduling {
    on_host_maintenance         = "TERMINATE"
    provisioning_model          = var.spot ? "SPOT" : "STANDARD"
    preemptible                 = var.spot
    automatic_restart           = !var.spot
    instance_termination_action = var.spot ? "DELETE" : null
  }

  shielded_instance_config {
    enable_secure_boot          = true
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }

  metadata = {
    enable-oslogin         = "TRUE"
    block-project-ssh-keys = "TRUE"
    serial-port-enable     = "FALSE"
    google-logging-enabled = "true"
    user-data              = local.user_data
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_resource_policy" "snapshots" {
  count = local.stateful ? 1 : 0

  project = var.project_id
  region  = var.region
  name    = "${var.name}-daily"

  snapshot_schedule_policy {
    schedule {
      daily_schedule {
        days_in_cycle = 1
        start_time    = "03:00"
      }
    }

    retention_policy {
      max_retention_days    = 14
      on_source_disk_delete = "KEEP_AUTO_SNAPSHOTS"
    }
  }
}
