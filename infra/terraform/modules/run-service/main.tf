# A service on Cloud Run, reached over HTTP by the members named and by nobody else. Its background work (relays, consumers,
# replies that outlive their request) needs CPU between requests, so it is never throttled nor scaled to zero.

resource "google_cloud_run_v2_service" "this" {
  project              = var.project_id
  name                 = var.name
  location             = var.region
  ingress              = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
  default_uri_disabled = true
  invoker_iam_disabled = false
  deletion_protection  = true

  template {
    service_account                  = var.service_account
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    timeout                          = "3600s"
    max_instance_request_concurrency = var.concurrency

    scaling {
      min_instance_count = var.instances.min
      max_instance_count = var.instances.max
    }

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

      ports {
        container_port = var.port
      }

      resources {
        limits   = var.limits
        cpu_idle = false
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

      # Not /healthz: Google's front end keeps that path for itself.
      startup_probe {
        period_seconds    = 5
        timeout_seconds   = 3
        failure_threshold = 24

        http_get {
          path = "/health"
          port = var.port
        }
      }

      liveness_probe {
        period_seconds    = 30
        timeout_seconds   = 5
        failure_threshold = 3

        http_get {
          path = "/health"
          port = var.port
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
          limits   = { cpu = "0.5", memory = "256Mi" }
          cpu_idle = false
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

  traffic {
    type    = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
    percent = 100
  }
}

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = var.invokers

  project  = var.project_id
  location = var.region
  name     = google_cloud_run_v2_service.this.name
  role     = "roles/run.invoker"
  member   = each.value
}
