# The machines with the GPUs, and the one address that the other two services call.

locals {
  pool_name = "tandem-inference"

  engines = yamldecode(file("${path.module}/engines.yaml")).engines
}

module "inference" {
  source = "../../modules/gpu-pool"

  project_id      = var.project_id
  name            = local.pool_name
  region          = var.region
  zones           = var.inference.zones
  machine_type    = var.inference.machine_type
  spot            = var.inference.spot
  size            = var.inference.size
  kept_disk       = var.inference.kept_disk
  subnetwork      = module.network.machines_subnetwork
  service_account = module.inference_identity.email
  operators       = var.operators
  health          = { port = local.inference_port }

  backlog = {
    subscription         = module.feedback_requests.subscription
    messages_per_machine = var.inference.messages_per_machine
  }

  files = { "/etc/tandem/engines.yaml" = file("${path.module}/engines.yaml") }

  # The gateway, and each engine behind it.
  collector = {
    image = var.images.collector
    ports = concat([local.inference_port], [for index, engine in local.engines : 8801 + index])
  }

  containers = {
    inference = {
      image            = var.images.inference
      gpu              = true
      open_port        = local.inference_port
      shared_memory_gb = 8
      files            = ["/etc/tandem/engines.yaml"]
      volumes          = { "/models" = "models", "/cache" = "cache" }

      environment = {
        TANDEM_INFERENCE_HOST                      = "0.0.0.0"
        TANDEM_INFERENCE_PORT                      = tostring(local.inference_port)
        TANDEM_INFERENCE_ENGINES_FILE              = "/etc/tandem/engines.yaml"
        TANDEM_INFERENCE_GPU                       = "L4"
        TANDEM_INFERENCE_PLAN_HISTORY_FILE         = "/cache/plan-history.csv"
        TANDEM_INFERENCE_ENGINE_STOP_GRACE_SECONDS = "10"
      }

      secrets = {
        TANDEM_INFERENCE_SERVICE_TOKEN = local.inference_token
        HF_TOKEN = {
          name    = module.secrets.names["hugging-face-token"]
          version = var.secret_versions["hugging-face-token"]
        }
      }
    }
  }
}

module "inference_address" {
  source = "../../modules/internal-address"

  project_id         = var.project_id
  name               = local.pool_name
  region             = var.region
  network            = module.network.network
  subnetwork         = module.network.machines_subnetwork
  proxies_subnetwork = module.network.proxies_subnetwork
  address            = local.inference_address
  port               = local.inference_port
  instance_group     = module.inference.instance_group
}
