# One private address for all machines of a pool. An application load balancer, because requests differ a thousandfold in
# length: each goes to the machine with the fewest under way, whatever connection it came on.

resource "google_compute_address" "this" {
  project      = var.project_id
  name         = var.name
  region       = var.region
  address_type = "INTERNAL"
  purpose      = "SHARED_LOADBALANCER_VIP"
  subnetwork   = var.subnetwork
  address      = var.address
}

resource "google_compute_region_health_check" "this" {
  project             = var.project_id
  name                = "${var.name}-ready"
  region              = var.region
  check_interval_sec  = 5
  timeout_sec         = 4
  healthy_threshold   = 2
  unhealthy_threshold = 2

  http_health_check {
    port         = var.port
    request_path = "/ready"
  }

  log_config {
    enable = true
  }
}

resource "google_compute_region_backend_service" "this" {
  project                         = var.project_id
  name                            = var.name
  region                          = var.region
  load_balancing_scheme           = "INTERNAL_MANAGED"
  protocol                        = "HTTP"
  port_name                       = "http"
  locality_lb_policy              = "LEAST_REQUEST"
  timeout_sec                     = var.longest_answer_seconds
  connection_draining_timeout_sec = 25
  health_checks                   = [google_compute_region_health_check.this.id]

  backend {
    group           = var.instance_group
    balancing_mode  = "UTILIZATION"
    capacity_scaler = 1.0
  }

  log_config {
    enable      = true
    sample_rate = 1.0
  }
}

resource "google_compute_region_url_map" "this" {
  project         = var.project_id
  name            = var.name
  region          = var.region
  default_service = google_compute_region_backend_service.this.id
}

resource "google_compute_region_target_http_proxy" "this" {
  project = var.project_id
  name    = var.name
  region  = var.region
  url_map = google_compute_region_url_map.this.id
}

resource "google_compute_forwarding_rule" "this" {
  project               = var.project_id
  name                  = var.name
  region                = var.region
  load_balancing_scheme = "INTERNAL_MANAGED"
  ip_protocol           = "TCP"
  port_range            = tostring(var.port)
  ip_address            = google_compute_address.this.id
  network               = var.network
  subnetwork            = var.subnetwork
  target                = google_compute_region_target_http_proxy.this.id

  lifecycle {
    precondition {
      condition     = var.proxies_subnetwork != null
      error_message = "internal-address: the network needs a proxy-only subnet (network.cidr_ranges.proxies)."
    }
  }
}
