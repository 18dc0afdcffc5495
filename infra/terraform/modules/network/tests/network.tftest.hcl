mock_provider "google" {}

variables {
  project_id              = "tandem-test"
  region                  = "us-central1"
  name                    = "tandem"
  machine_service_account = "tandem-inference@tandem-test.iam.gserviceaccount.com"
  health_port             = 8800
  cidr_ranges             = { machines = "10.10.0.0/24", containers = "10.10.1.0/24", proxies = "10.10.2.0/24" }
}

run "ssh_comes_from_iap_alone" {
  command = plan

  assert {
    condition     = google_compute_firewall.ssh_through_iap.source_ranges == toset(["35.235.240.0/20"])
    error_message = "The shell is open to others than Google's IAP."
  }

  assert {
    condition     = google_compute_firewall.ssh_through_iap.target_service_accounts == toset([var.machine_service_account])
    error_message = "The rule opens other machines' shells too."
  }
}

run "load_balancer_parts_exist_only_where_asked_for" {
  command = plan

  variables {
    cidr_ranges = { machines = "10.10.0.0/24" }
  }

  assert {
    condition     = length(google_compute_firewall.load_balancer) == 0 && length(google_compute_subnetwork.proxies) == 0 && length(google_compute_subnetwork.containers) == 0
    error_message = "A network with machines alone has parts for Cloud Run or a load balancer."
  }
}

run "small_cloud_run_subnet_is_refused" {
  command = plan

  variables {
    cidr_ranges = { machines = "10.10.0.0/24", containers = "10.10.1.0/28" }
  }

  expect_failures = [var.cidr_ranges]
}

run "public_range_is_refused" {
  command = plan

  variables {
    cidr_ranges = { machines = "8.8.8.0/24" }
  }

  expect_failures = [var.cidr_ranges]
}

run "privileged_port_is_refused" {
  command = plan

  variables {
    health_port = 80
  }

  expect_failures = [var.health_port]
}

run "upper_case_name_is_refused" {
  command = plan

  variables {
    name = "Tandem"
  }

  expect_failures = [var.name]
}
