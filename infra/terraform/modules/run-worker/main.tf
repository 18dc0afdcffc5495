# Workers on Cloud Run that pull and answer no HTTP: no ingress, no port, a number of instances that stands.

resource "google_cloud_run_v2_worker_pool" "this" {
  project             = var.project_id
  name                = var.name
  location            = var.region
  deletion_protection = true

  scaling {
    scaling_mode          = "MANUAL"
    manual_instance_count = var.instances
  }

  template {
    service_account = var.service_account

    vpc_access {
      egress = "PRIVATE_RANGES_ONLY"

      network_interfaces {
        network    = var.network
        subnetwork = var.subnetwork
      }
    }

    containers {
      name       = var.name
      image      = var.image
      args       = var.args
      depends_on = var.database == null ? [] : ["database-proxy"]

      resources {
        limits = var.limits
      }

      dynamic "env" {
        for_each = merge(var.environment, var.database == null ? {} : { (var.database.variable) = var.database.url })

        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = var.secrets

        content {
          name = env.key

          value_source {
            secret_key_ref {
              secret  = env.value.name
              version = env.value.version
            }
          }
        }
      }
    }

    dynamic "containers" {
      for_each = var.database == null ? [] : [var.database]

      content {
        name  = "database-proxy"
        image = containers.value.proxy_image
        args = [
          "--auto-iam-authn", "--private-ip", "--port=5432", "--structured-logs",
          "--health-check", "--http-address=0.0.0.0", "--http-port=9090",
          containers.value.connection_name,
        ]

        resources {
          limits = { cpu = "0.5", memory = "256Mi" }
        }

        startup_probe {
          period_seconds    = 2
          timeout_seconds   = 2
          failure_threshold = 30

          http_get {
            path = "/startup"
            port = 9090
          }
        }
      }
    }
  }

  instance_splits {
    type    = "INSTANCE_SPLIT_ALLOCATION_TYPE_LATEST"
    percent = 100
  }
}
