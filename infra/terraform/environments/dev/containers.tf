# The three services on the one machine, as containers that share its loopback.

locals {
  inference_token = {
    name    = module.secrets.names["inference-token"]
    version = var.secret_versions["inference-token"]
  }

  containers = {
    inference = {
      image            = var.images.inference
      gpu              = true
      open_port        = 8800
      shared_memory_gb = 8
      files            = ["/etc/tandem/engines.yaml"]
      volumes          = { "/models" = "models", "/cache" = "cache" }

      environment = {
        TANDEM_INFERENCE_HOST                      = "0.0.0.0"
        TANDEM_INFERENCE_PORT                      = "8800"
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

    chat = {
      image         = var.images.chat
      first_command = ["migrate"]
      volumes       = { "/data" = "chat" }

      environment = {
        TANDEM_CHAT_HOST           = "127.0.0.1"
        TANDEM_CHAT_PORT           = "8000"
        TANDEM_CHAT_MODEL          = local.model
        TANDEM_CHAT_DATABASE_URL   = "sqlite+aiosqlite:////data/chat.db"
        TANDEM_CHAT_INFERENCE_URL  = "http://127.0.0.1:8800"
        TANDEM_CHAT_PUBSUB_PROJECT = var.project_id
      }

      secrets = { TANDEM_CHAT_INFERENCE_TOKEN = local.inference_token }
    }

    feedback = {
      image         = var.images.feedback
      first_command = ["migrate"]
      volumes       = { "/data" = "feedback" }
      # A little longer than the worker's own 20 seconds, and less than a spot machine's notice.
      stop_seconds = 22

      environment = {
        TANDEM_FEEDBACK_HOST           = "127.0.0.1"
        TANDEM_FEEDBACK_PORT           = "8010"
        TANDEM_FEEDBACK_MODEL          = local.model
        TANDEM_FEEDBACK_DATABASE_URL   = "sqlite+aiosqlite:////data/feedback.db"
        TANDEM_FEEDBACK_INFERENCE_URL  = "http://127.0.0.1:8800"
        TANDEM_FEEDBACK_PUBSUB_PROJECT = var.project_id
        TANDEM_FEEDBACK_DRAIN_SECONDS  = "20"
      }

      secrets = { TANDEM_FEEDBACK_INFERENCE_TOKEN = local.inference_token }
    }
  }
}
