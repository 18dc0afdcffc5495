variable "project_id" {
  description = "Project that is watched."
  type        = string
}

variable "name" {
  description = "First word of each alert's title."
  type        = string
}

variable "emails" {
  description = "Addresses that are told."
  type        = set(string)

  validation {
    condition     = length(var.emails) > 0 && alltrue([for email in var.emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", email))])
    error_message = "emails: expected at least one e-mail address; an alert that reaches nobody is none."
  }
}

variable "queues" {
  description = "Queues by name: subscription, its dead letters' subscription, and the age at which a message has waited too long."
  type = map(object({
    subscription             = string
    dead_letter_subscription = string
    oldest_age_seconds       = number
  }))

  validation {
    condition     = alltrue([for queue in values(var.queues) : queue.oldest_age_seconds >= 60])
    error_message = "queues: oldest_age_seconds below 60 would alert on the metric's own delay."
  }
}

variable "pool" {
  description = "The machines' group and its least size; 0 means that an empty group is wanted."
  type = object({
    name = string
    min  = number
  })
}

variable "database" {
  description = "Database instance; null where there is none."
  type        = string
  default     = null
}

variable "public_url_map" {
  description = "URL map of the front door; null where there is none."
  type        = string
  default     = null
}

variable "internal_url_map" {
  description = "URL map of the internal load balancer; null where there is none."
  type        = string
  default     = null
}

variable "start_seconds" {
  description = "Longest cold start, before which an engine that is not ready is no news."
  type        = number
  default     = 1800
}

variable "longest_wait_seconds" {
  description = "Wait for the first word that 95 % of chat answers should stay under."
  type        = number
  default     = 10

  validation {
    condition     = var.longest_wait_seconds > 0
    error_message = "longest_wait_seconds: expected more than 0."
  }
}
