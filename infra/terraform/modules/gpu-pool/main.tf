# The group of L4 machines: where they may be, how a sick one is replaced, and how many there are.
# A group of fixed size keeps each machine's disk (stateful). One that scales cannot: Google refuses an autoscaler on a
# stateful group, so its machines' disks start from an image with weights and compile cache on it (docs/adr/0011).

locals {
  scales   = var.size.max > var.size.min
  stateful = !local.scales
}

resource "google_compute_region_instance_group_manager" "this" {
  project            = var.project_id
  name               = var.name
  region             = var.region
  base_instance_name = var.name
  target_size        = local.scales ? null : var.size.min

  # One zone without L4s must not hold up the others.
  distribution_policy_zones        = var.zones
  distribution_policy_target_shape = "ANY"

  # A cold start takes longer than Terraform should wait; alerts tell when it fails.
  wait_for_instances = false

  version {
    instance_template = google_compute_instance_template.this.self_link_unique
  }

  named_port {
    name = "http"
    port = var.health.port
  }

  auto_healing_policies {
    health_check      = google_compute_region_health_check.healing.id
    initial_delay_sec = var.start_seconds
  }

  instance_lifecycle_policy {
    default_action_on_failure = "REPAIR"
    force_update_on_repair    = "NO"

    on_repair {
      allow_changing_zone = local.stateful ? "NO" : "YES"
    }
  }

  # The GPU quota leaves none for a machine more than there are, so an update replaces in place. OPPORTUNISTIC: an apply alone
  # never takes the running model away; docs/runbooks/roll-out.md says how to replace machines one at a time.
  update_policy {
    type                           = "OPPORTUNISTIC"
    minimal_action                 = "REPLACE"
    most_disruptive_allowed_action = "REPLACE"
    replacement_method             = "RECREATE"
    instance_redistribution_type   = "NONE"
    max_surge_fixed                = 0
    max_unavailable_fixed          = length(var.zones)
  }

  dynamic "stateful_disk" {
    for_each = local.stateful ? [local.kept_device] : []

    content {
      device_name = stateful_disk.value
      delete_rule = "NEVER"
    }
  }
}

# Heals on what users need, a model that answers, and slowly: an engine that crashed is restarted on the machine first.
resource "google_compute_region_health_check" "healing" {
  project             = var.project_id
  name                = "${var.name}-healing"
  region              = var.region
  check_interval_sec  = 30
  timeout_sec         = 10
  healthy_threshold   = 1
  unhealthy_threshold = 10

  http_health_check {
    port         = var.health.port
    request_path = var.health.path
  }

  log_config {
    enable = true
  }
}

# The backlog counts what is being worked on too, so it does not fall to zero while work is left.
resource "google_compute_region_autoscaler" "this" {
  count = local.scales ? 1 : 0

  project = var.project_id
  name    = var.name
  region  = var.region
  target  = google_compute_region_instance_group_manager.this.id

  autoscaling_policy {
    mode            = "ON"
    min_replicas    = var.size.min
    max_replicas    = var.size.max
    cooldown_period = var.start_seconds

    metric {
      name                       = "pubsub.googleapis.com/subscription/num_undelivered_messages"
      filter                     = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${var.backlog.subscription}\""
      single_instance_assignment = var.backlog.messages_per_machine
    }

    scale_in_control {
      time_window_sec = 1800

      max_scaled_in_replicas {
        fixed = 1
      }
    }
  }
}
