mock_provider "google" {}

variables {
  project_id      = "tandem-test"
  name            = "pool"
  region          = "us-central1"
  zones           = ["us-central1-a", "us-central1-c"]
  machine_type    = "g2-standard-8"
  spot            = false
  size            = { min = 1, max = 3 }
  backlog         = { subscription = "feedback-requests-worker", messages_per_machine = 50 }
  kept_disk       = { size_gb = 100, image = "projects/tandem-test/global/images/family/tandem-cache" }
  subnetwork      = "projects/tandem-test/regions/us-central1/subnetworks/machines"
  service_account = "tandem-inference@tandem-test.iam.gserviceaccount.com"
  health          = { port = 8800 }

  containers = {
    inference = {
      image     = "us-central1-docker.pkg.dev/tandem-test/tandem/inference@sha256:1111111111111111111111111111111111111111111111111111111111111111"
      gpu       = true
      open_port = 8800
      volumes   = { "/models" = "models" }
      secrets   = { HF_TOKEN = { name = "hugging-face-token", version = "3" } }
    }
  }
}

run "scaled_group_follows_the_backlog" {
  command = plan

  assert {
    condition     = google_compute_region_autoscaler.this[0].autoscaling_policy[0].metric[0].single_instance_assignment == 50 && strcontains(google_compute_region_autoscaler.this[0].autoscaling_policy[0].metric[0].filter, "feedback-requests-worker")
    error_message = "The autoscaler does not follow the subscription that it was given."
  }

  assert {
    condition     = length(google_compute_region_instance_group_manager.this.stateful_disk) == 0
    error_message = "Google refuses an autoscaler on a group with stateful disks."
  }

  assert {
    condition     = google_compute_region_instance_group_manager.this.instance_lifecycle_policy[0].on_repair[0].allow_changing_zone == "YES"
    error_message = "A repaired machine stays in a zone that may have no L4."
  }
}

run "fixed_group_keeps_its_disk" {
  command = plan

  variables {
    size    = { min = 1, max = 1 }
    backlog = null
  }

  assert {
    condition     = length(google_compute_region_autoscaler.this) == 0 && google_compute_region_instance_group_manager.this.target_size == 1
    error_message = "A fixed group is scaled."
  }

  assert {
    condition     = one(google_compute_region_instance_group_manager.this.stateful_disk).delete_rule == "NEVER"
    error_message = "The kept disk is lost with its machine."
  }
}

run "spot_machine_is_deleted_and_made_anew" {
  command = plan

  variables {
    spot = true
  }

  assert {
    condition = (
      google_compute_instance_template.this.scheduling[0].provisioning_model == "SPOT"
      && google_compute_instance_template.this.scheduling[0].preemptible
      && !google_compute_instance_template.this.scheduling[0].automatic_restart
      && google_compute_instance_template.this.scheduling[0].instance_termination_action == "DELETE"
      && google_compute_instance_template.this.scheduling[0].on_host_maintenance == "TERMINATE"
    )
    error_message = "The scheduling is not one that Google takes for spot machines with a GPU."
  }
}

run "two_gpus_are_both_handed_over" {
  command = plan

  variables {
    machine_type = "g2-standard-24"
  }

  assert {
    condition     = strcontains(google_compute_instance_template.this.metadata["user-data"], "--device /dev/nvidia1")
    error_message = "The container sees one of two GPUs."
  }

  assert {
    condition     = strcontains(google_compute_instance_template.this.metadata["user-data"], "value=$(read_secret hugging-face-token 3)")
    error_message = "The machine does not read the version of the secret that it was given."
  }
}

run "machine_without_l4_is_refused" {
  command = plan

  variables {
    machine_type = "n1-standard-8"
  }

  expect_failures = [var.machine_type]
}

run "g2_that_does_not_exist_is_refused" {
  command = plan

  variables {
    machine_type = "g2-standard-64"
  }

  expect_failures = [var.machine_type]
}

run "zone_of_another_region_is_refused" {
  command = plan

  variables {
    zones = ["us-central1-a", "us-east1-b"]
  }

  expect_failures = [var.zones]
}

run "least_above_most_is_refused" {
  command = plan

  variables {
    size = { min = 3, max = 2 }
  }

  expect_failures = [var.size]
}

run "unbounded_size_is_refused" {
  command = plan

  variables {
    size = { min = 1, max = 200 }
  }

  expect_failures = [var.size]
}

run "scaling_on_nothing_is_refused" {
  command = plan

  variables {
    backlog = null
  }

  expect_failures = [var.backlog]
}

run "moving_image_family_is_refused" {
  command = plan

  variables {
    image_family = "cos-stable"
  }

  expect_failures = [var.image_family]
}

run "small_boot_disk_is_refused" {
  command = plan

  variables {
    boot_disk_gb = 50
  }

  expect_failures = [var.boot_disk_gb]
}

run "disk_type_that_g2_refuses_is_refused" {
  command = plan

  variables {
    kept_disk = { size_gb = 100, type = "pd-standard" }
  }

  expect_failures = [var.kept_disk]
}

run "default_service_account_is_refused" {
  command = plan

  variables {
    service_account = "123456789012-compute@developer.gserviceaccount.com"
  }

  expect_failures = [var.service_account]
}

run "image_by_tag_is_refused" {
  command = plan

  variables {
    containers = { inference = { image = "us-central1-docker.pkg.dev/tandem-test/tandem/inference:latest", gpu = true } }
  }

  expect_failures = [var.containers]
}

run "stop_longer_than_the_spot_notice_is_refused" {
  command = plan

  variables {
    containers = { inference = { image = "r.example/i@sha256:1111111111111111111111111111111111111111111111111111111111111111", gpu = true, stop_seconds = 60 } }
  }

  expect_failures = [var.containers]
}

run "healing_before_a_cold_start_is_over_is_refused" {
  command = plan

  variables {
    start_seconds = 300
  }

  expect_failures = [var.start_seconds]
}

run "file_on_a_read_only_folder_is_refused" {
  command = plan

  variables {
    files = { "/mnt/engines.yaml" = "engines: []" }
  }

  expect_failures = [var.files]
}

run "everybody_as_operator_is_refused" {
  command = plan

  variables {
    operators = ["allUsers"]
  }

  expect_failures = [var.operators]
}

run "root_in_containers_is_refused" {
  command = plan

  variables {
    user_id = 0
  }

  expect_failures = [var.user_id]
}

run "odd_driver_version_is_refused" {
  command = plan

  variables {
    driver_version = "580"
  }

  expect_failures = [var.driver_version]
}

run "collector_scrapes_the_named_ports" {
  command = plan

  variables {
    collector = { image = "r.example/otelcol@sha256:2222222222222222222222222222222222222222222222222222222222222222", ports = [8800, 8801] }
  }

  assert {
    condition     = strcontains(google_compute_instance_template.this.metadata["user-data"], "127.0.0.1:8801") && strcontains(google_compute_instance_template.this.metadata["user-data"], "tandem-collector.service")
    error_message = "Nothing scrapes the engines, and alerts on them would stay silent."
  }
}

run "collector_by_tag_is_refused" {
  command = plan

  variables {
    collector = { image = "r.example/otelcol:latest", ports = [8800] }
  }

  expect_failures = [var.collector]
}
