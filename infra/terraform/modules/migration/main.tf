# A job that brings one service's database to the schema of its image. Terraform makes it and never runs it: the roll-out does
# (docs/runbooks/roll-out.md), once and before the new revision, because replicas that all migrate would race.

locals {
  # The job ends when all its containers have, so the migration tells the proxy when it is done, however it went.
  script = join("; ", [
    "${var.command}",
    "code=$?",
    "python -c 'import urllib.request as r; r.urlopen(r.Request(\"http://127.0.0.1:9091/quitquitquit\", method=\"POST\"))'",
    "exit $code",
  ])
}

resource "google_cloud_run_v2_job" "this" {
  project             = var.project_id
  name                = var.name
  location            = var.region
  deletion_protection = false

  template {
    task_count = 1

    template {
      service_account = var.service_account
      max_retries     = 0
      timeout         = "1800s"

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
        command    = ["/bin/sh", "-c"]
        args       = [local.script]
        depends_on = ["database-proxy"]

        resources {
          limits = { cpu = "1", memory = "512Mi" }
        }

        dynamic "env" {
          for_each = merge(var.environment, { (var.database.variable) = var.database.url })

          content {
            name  = env.key
            value = env.value
          }
        }
      }

      containers {
        name  = "database-proxy"
        image = var.database.proxy_image
        args = [
          "--auto-iam-authn", "--private-ip", "--port=5432", "--structured-logs",
          "--health-check", "--http-address=0.0.0.0", "--http-port=9090",
          "--quitquitquit", "--admin-port=9091", "--exit-zero-on-sigterm",
          var.database.connection_name,
        ]

        resources {
          limits = { cpu = "1", memory = "512Mi" }
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
}
