# Chat and feedback: containers without machines of their own, and the way in for people.

locals {
  database = {
    for service in ["chat", "feedback"] : service => {
      variable        = "TANDEM_${upper(service)}_DATABASE_URL"
      url             = module.database.urls[service]
      connection_name = module.database.connection_name
      proxy_image     = var.images.database_proxy
    }
  }
}

module "chat" {
  source = "../../modules/run-service"

  project_id      = var.project_id
  region          = var.region
  name            = "chat"
  image           = var.images.chat
  service_account = module.chat_identity.email
  network         = module.network.network
  subnetwork      = module.network.containers_subnetwork
  port            = 8000
  instances       = var.chat_instances
  database        = local.database["chat"]
  invokers        = [module.front_door.iap_agent]

  environment = {
    TANDEM_CHAT_HOST = "0.0.0.0"
    # Nobody reaches it but Identity-Aware Proxy, which has asked people who they are.
    TANDEM_CHAT_TRUST_NETWORK  = "true"
    TANDEM_CHAT_PORT           = "8000"
    TANDEM_CHAT_MODEL          = local.model
    TANDEM_CHAT_INFERENCE_URL  = module.inference_address.url
    TANDEM_CHAT_PUBSUB_PROJECT = var.project_id
  }

  secrets = { TANDEM_CHAT_INFERENCE_TOKEN = local.inference_token }
}

module "chat_migration" {
  source = "../../modules/migration"

  project_id      = var.project_id
  region          = var.region
  name            = "chat-migration"
  image           = var.images.chat
  command         = "tandem-chat migrate"
  service_account = module.chat_identity.email
  network         = module.network.network
  subnetwork      = module.network.containers_subnetwork
  database        = local.database["chat"]
}

module "feedback" {
  source = "../../modules/run-worker"

  project_id      = var.project_id
  region          = var.region
  name            = "feedback"
  image           = var.images.feedback
  service_account = module.feedback_identity.email
  network         = module.network.network
  subnetwork      = module.network.containers_subnetwork
  instances       = var.feedback_instances
  database        = local.database["feedback"]

  environment = {
    # Nobody calls it; the image would listen everywhere, and refuse to without a token.
    TANDEM_FEEDBACK_HOST           = "127.0.0.1"
    TANDEM_FEEDBACK_MODEL          = local.model
    TANDEM_FEEDBACK_INFERENCE_URL  = module.inference_address.url
    TANDEM_FEEDBACK_PUBSUB_PROJECT = var.project_id
    # Cloud Run gives a stopping container ten seconds.
    TANDEM_FEEDBACK_DRAIN_SECONDS = "8"
  }

  secrets = { TANDEM_FEEDBACK_INFERENCE_TOKEN = local.inference_token }
}

module "feedback_migration" {
  source = "../../modules/migration"

  project_id      = var.project_id
  region          = var.region
  name            = "feedback-migration"
  image           = var.images.feedback
  command         = "tandem-feedback migrate"
  service_account = module.feedback_identity.email
  network         = module.network.network
  subnetwork      = module.network.containers_subnetwork
  database        = local.database["feedback"]
}

module "front_door" {
  source = "../../modules/front-door"

  project_id          = var.project_id
  project_number      = var.project_number
  region              = var.region
  name                = "tandem-chat"
  service             = module.chat.name
  domain              = var.domain
  users               = var.users
  requests_per_minute = var.requests_per_minute
}
