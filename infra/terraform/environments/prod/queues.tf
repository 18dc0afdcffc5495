# Names, deadlines and attempts are those of libs/contracts/src/tandem_contracts/topics.py; a test compares them.

module "feedback_requests" {
  source = "../../modules/queue"

  project_id     = var.project_id
  project_number = var.project_number
  region         = var.region
  topic          = "feedback-requests"

  subscription = {
    name                  = "feedback-requests-worker"
    ack_deadline_seconds  = 20
    max_delivery_attempts = 100
  }

  dead_letter = {
    topic        = "feedback-requests-dead"
    subscription = "feedback-requests-dead-inspection"
  }

  # Chat asks for feedback; the worker publishes again what was lost on the way.
  publishers             = setunion([module.chat_identity.member, module.feedback_identity.member], var.other_publishers)
  subscribers            = [module.feedback_identity.member]
  dead_letter_publishers = [module.feedback_identity.member]
}

module "feedback_results" {
  source = "../../modules/queue"

  project_id     = var.project_id
  project_number = var.project_number
  region         = var.region
  topic          = "feedback-results"

  subscription = {
    name                  = "feedback-results-chat"
    ack_deadline_seconds  = 20
    max_delivery_attempts = 100
  }

  dead_letter = {
    topic        = "feedback-results-dead"
    subscription = "feedback-results-dead-inspection"
  }

  publishers  = [module.feedback_identity.member]
  subscribers = [module.chat_identity.member]
}
