# Production: chat and feedback on Cloud Run, inference on a group of L4 machines, PostgreSQL, one guarded way in.

locals {
  name           = "tandem"
  inference_port = 8800
  # Chosen, not read back, so that everything that calls inference is known in the plan.
  inference_address = cidrhost(var.cidr_ranges.machines, 10)
  model             = yamldecode(file("${path.module}/engines.yaml")).engines[0].served_model_name

  inference_token = {
    name    = module.secrets.names["inference-token"]
    version = var.secret_versions["inference-token"]
  }
}

module "inference_identity" {
  source = "../../modules/identity"

  project_id       = var.project_id
  account_id       = "tandem-inference"
  display_name     = "Tandem: inference machines"
  writes_telemetry = true
  deployers        = var.deployers
}

module "chat_identity" {
  source = "../../modules/identity"

  project_id   = var.project_id
  account_id   = "tandem-chat"
  display_name = "Tandem: chat"
  deployers    = var.deployers
}

module "feedback_identity" {
  source = "../../modules/identity"

  project_id   = var.project_id
  account_id   = "tandem-feedback"
  display_name = "Tandem: feedback"
  deployers    = var.deployers
}

module "network" {
  source = "../../modules/network"

  project_id              = var.project_id
  region                  = var.region
  name                    = local.name
  cidr_ranges             = var.cidr_ranges
  machine_service_account = module.inference_identity.email
  health_port             = local.inference_port
}

module "registry" {
  source = "../../modules/registry"

  project_id = var.project_id
  region     = var.region
  name       = local.name
  readers    = [module.inference_identity.member, module.chat_identity.member, module.feedback_identity.member]
  writers    = var.image_writers
}

module "secrets" {
  source = "../../modules/secrets"

  project_id = var.project_id
  region     = var.region

  accessors = {
    "inference-token"    = [module.inference_identity.member, module.chat_identity.member, module.feedback_identity.member]
    "hugging-face-token" = [module.inference_identity.member]
  }
}

module "database" {
  source = "../../modules/database"

  project_id       = var.project_id
  region           = var.region
  name             = local.name
  network          = module.network.network
  tier             = var.database.tier
  highly_available = var.database.highly_available

  services = {
    chat     = module.chat_identity.email
    feedback = module.feedback_identity.email
  }
}

module "budget" {
  source = "../../modules/budget"

  billing_account       = var.budget.billing_account
  project_number        = var.project_number
  name                  = "tandem prod"
  monthly_amount        = var.budget.monthly_amount
  currency              = var.budget.currency
  notification_channels = module.alerts.notification_channels
}

module "alerts" {
  source = "../../modules/alerts"

  project_id       = var.project_id
  name             = "tandem prod"
  emails           = var.alert_emails
  pool             = { name = local.pool_name, min = var.inference.size.min }
  database         = module.database.instance
  public_url_map   = module.front_door.url_map
  internal_url_map = module.inference_address.url_map

  queues = {
    "feedback requests" = {
      subscription             = module.feedback_requests.subscription
      dead_letter_subscription = module.feedback_requests.dead_letter_subscription
      oldest_age_seconds       = 3600
    }
    "feedback results" = {
      subscription             = module.feedback_results.subscription
      dead_letter_subscription = module.feedback_results.dead_letter_subscription
      oldest_age_seconds       = 300
    }
  }
}
