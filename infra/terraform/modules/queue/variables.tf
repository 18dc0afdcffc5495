variable "project_id" {
  description = "Project that holds the topics."
  type        = string
}

variable "project_number" {
  description = "Number of the project: the Pub/Sub service agent is named after it."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{6,20}$", var.project_number))
    error_message = "project_number: expected digits only; `gcloud projects describe PROJECT --format='value(projectNumber)'` prints it."
  }
}

variable "region" {
  description = "Region in which messages are kept."
  type        = string
}

variable "topic" {
  description = "Name of the topic."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z][-A-Za-z0-9._~+%]{2,254}$", var.topic)) && !startswith(var.topic, "goog")
    error_message = "topic: expected 3 to 255 letters, digits and -._~+%, starting with a letter and not with goog."
  }
}

variable "subscription" {
  description = "The topic's one subscription. Generations longer than the deadline are held by the client, which extends it."
  type = object({
    name                  = string
    ack_deadline_seconds  = optional(number, 20)
    max_delivery_attempts = optional(number, 100)
  })

  validation {
    condition     = can(regex("^[A-Za-z][-A-Za-z0-9._~+%]{2,254}$", var.subscription.name)) && !startswith(var.subscription.name, "goog")
    error_message = "subscription.name: expected 3 to 255 letters, digits and -._~+%, starting with a letter and not with goog."
  }

  validation {
    condition     = var.subscription.ack_deadline_seconds >= 10 && var.subscription.ack_deadline_seconds <= 600
    error_message = "subscription.ack_deadline_seconds: Pub/Sub takes 10 to 600."
  }

  validation {
    condition     = var.subscription.max_delivery_attempts >= 5 && var.subscription.max_delivery_attempts <= 100
    error_message = "subscription.max_delivery_attempts: Pub/Sub takes 5 to 100."
  }
}

variable "dead_letter" {
  description = "Topic for what cannot be delivered, and the subscription that keeps it."
  type = object({
    topic        = string
    subscription = string
  })

  validation {
    condition     = var.dead_letter.topic != var.topic && var.dead_letter.subscription != var.subscription.name
    error_message = "dead_letter: expected a topic and a subscription of its own, or messages would come back for ever."
  }
}

variable "publishers" {
  description = "Members that publish to the topic."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.publishers : can(regex("^(serviceAccount|group|user):[^@ ]+@[^@ ]+$", member))])
    error_message = "publishers: expected serviceAccount:, group: or user: followed by an address."
  }
}

variable "subscribers" {
  description = "Members that pull from the subscription."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.subscribers : can(regex("^(serviceAccount|group|user):[^@ ]+@[^@ ]+$", member))])
    error_message = "subscribers: expected serviceAccount:, group: or user: followed by an address."
  }
}

variable "dead_letter_publishers" {
  description = "Members that put what they cannot read into the dead letters themselves."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.dead_letter_publishers : can(regex("^(serviceAccount|group|user):[^@ ]+@[^@ ]+$", member))])
    error_message = "dead_letter_publishers: expected serviceAccount:, group: or user: followed by an address."
  }
}

variable "retention" {
  description = "How long messages are kept, in seconds with an s: 10 minutes to 31 days."
  type        = string
  default     = "604800s"

  validation {
    condition     = try(tonumber(trimsuffix(var.retention, "s")) >= 600 && tonumber(trimsuffix(var.retention, "s")) <= 2678400, false) && endswith(var.retention, "s")
    error_message = "retention: expected 600s to 2678400s."
  }
}
