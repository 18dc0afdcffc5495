# One private network: no machine has a public address, the way out is NAT, the ways in are health checks and IAP.

locals {
  google_health_checks = ["35.191.0.0/16", "130.211.0.0/22"]
  iap_forwarding       = ["35.235.240.0/20"]
}

resource "google_compute_network" "this" {
  project                         = var.project_id
  name                            = var.name
  auto_create_subnetworks         = false
  routing_mode                    = "REGIONAL"
  delete_default_routes_on_create = false
}

resource "google_compute_subnetwork" "machines" {
  project                  = var.project_id
  name                     = "${var.name}-machines"
  region                   = var.region
  network                  = google_compute_network.this.id
  ip_cidr_range            = var.cidr_ranges.machines
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_subnetwork" "containers" {
  count = var.cidr_ranges.containers == null ? 0 : 1

  project                  = var.project_id
  name                     = "${var.name}-containers"
  region                   = var.region
  network                  = google_compute_network.this.id
  ip_cidr_range            = var.cidr_ranges.containers
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

# The internal load balancer's own proxies live here. Such a subnet takes neither private access nor flow logs.
resource "google_compute_subnetwork" "proxies" {
  count = var.cidr_ranges.proxies == null ? 0 : 1

  project       = var.project_id
  name          = "${var.name}-proxies"
  region        = var.region
  network       = google_compute_network.this.id
  ip_cidr_range = var.cidr_ranges.proxies
  purpose       = "REGIONAL_MANAGED_PROXY"
  role          = "ACTIVE"
}

# The way out for driver downloads, model weights and images of other registries.
resource "google_compute_router" "this" {
  project = var.project_id
  name    = var.name
  region  = var.region
  network = google_compute_network.this.id
}

resource "google_compute_router_nat" "this" {
  project                            = var.project_id
  name                               = var.name
  region                             = var.region
  router                             = google_compute_router.this.name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}

resource "google_compute_firewall" "ssh_through_iap" {
  project                 = var.project_id
  name                    = "${var.name}-ssh-through-iap"
  network                 = google_compute_network.this.id
  direction               = "INGRESS"
  source_ranges           = local.iap_forwarding
  target_service_accounts = [var.machine_service_account]

  allow {
    protocol = "tcp"
    ports    = ["22"]
  }

  log_config {
    metadata = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_firewall" "health_checks" {
  project                 = var.project_id
  name                    = "${var.name}-health-checks"
  network                 = google_compute_network.this.id
  direction               = "INGRESS"
  source_ranges           = local.google_health_checks
  target_service_accounts = [var.machine_service_account]

  allow {
    protocol = "tcp"
    ports    = [tostring(var.health_port)]
  }
}

resource "google_compute_firewall" "load_balancer" {
  count = var.cidr_ranges.proxies == null ? 0 : 1

  project                 = var.project_id
  name                    = "${var.name}-load-balancer"
  network                 = google_compute_network.this.id
  direction               = "INGRESS"
  source_ranges           = [var.cidr_ranges.proxies]
  target_service_accounts = [var.machine_service_account]

  allow {
    protocol = "tcp"
    ports    = [tostring(var.health_port)]
  }
}
