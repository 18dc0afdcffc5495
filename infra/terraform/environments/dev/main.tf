# Development: one L4 machine that runs all three services, SQLite on its kept disk, Pub/Sub. Chat and feedback stay on the machine's
# loopback; people reach chat by forwarding a port through IAP. Only health checks reach inference, which asks for its token.

locals {
  name    = "tandem-dev"
  engines = yamldecode(file("${path.module}/engines.yaml")).engines
  model   = local.engines[0].served_model_name
}

module "machine_identity" {
  source = "../../modules/identity"

  project_id       = var.project_id
  account_id       = "tandem-dev-machine"
  display_name     = "Tandem: the development machine"
  writes_telemetry = true
  deployers        = setunion(var.deployers, var.operators)
}

module "network" {
  source = "../../modules/network"

  project_id              = var.project_id
  region                  = var.region
  name                    = local.name
  cidr_ranges             = { machines = var.cidr_range }
  machine_service_account = module.machine_identity.email
  health_port             = 8800
}

module "registry" {
  source = "../../modules/registry"

  project_id = var.project_id
  region     = var.region
  name       = "tandem"
  readers    = [module.machine_identity.member]
  writers    = var.image_writers
}

module "secrets" {
  source = "../../modules/secrets"

  project_id = var.project_id
  region     = var.region

  accessors = {
    "inference-token"    = [module.machine_identity.member]
    "hugging-face-token" = [module.machine_identity.member]
  }
}

module "machine" {
  source = "../../modules/gpu-pool"

  project_id      = var.project_id
  name            = local.name
  region          = var.region
  zones           = var.machine.zones
  machine_type    = var.machine.machine_type
  spot            = var.machine.spot
  size            = { min = 1, max = 1 }
  kept_disk       = { size_gb = var.machine.kept_disk_gb }
  subnetwork      = module.network.machines_subnetwork
  service_account = module.machine_identity.email
  operators       = var.operators
  health          = { port = 8800 }
  files           = { "/etc/tandem/engines.yaml" = file("${path.module}/engines.yaml") }
  containers      = local.containers

  # The gateway, each engine behind it, and the other two services.
  collector = {
    image = var.images.collector
    ports = concat([8800, 8000, 8010], [for index, engine in local.engines : 8801 + index])
  }
}

module "budget" {
  source = "../../modules/budget"

  billing_account       = var.budget.billing_account
  project_number        = var.project_number
  name                  = "tandem dev"
  monthly_amount        = var.budget.monthly_amount
  currency              = var.budget.currency
  notification_channels = module.alerts.notification_channels
}

module "alerts" {
  source = "../../modules/alerts"

  project_id = var.project_id
  name       = "tandem dev"
  emails     = var.alert_emails
  pool       = { name = local.name, min = 1 }

  queues = {
    "feedback requests" = {
      subscription             = module.feedback_requests.subscription
      dead_letter_subscription = module.feedback_requests.dead_letter_subscription
      oldest_age_seconds       = 3600
    }
    "feedback results" = {
      subscription             = module.feedback_results.subscription
      dead_letter_subscription = module.feedback_results.dead_letter_subscription
      oldest_age_seconds       = 3600
    }
  }
}
