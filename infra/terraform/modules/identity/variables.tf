variable "project_id" {
  description = "Project that holds the service account."
  type        = string
}

variable "account_id" {
  description = "First part of the service account's address."
  type        = string

  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{4,28}[a-z0-9]$", var.account_id))
    error_message = "account_id: expected 6 to 30 lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen."
  }
}

variable "display_name" {
  description = "What people read in the console."
  type        = string
}

variable "writes_telemetry" {
  description = "Whether it writes logs and metrics itself (machines do; Cloud Run does it for its containers)."
  type        = bool
  default     = false
}

variable "deployers" {
  description = "Members that may start machines and containers under this identity, e.g. serviceAccount:tandem-ci-apply@..."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.deployers : can(regex("^(user|group|serviceAccount):[^@ ]+@[^@ ]+$", member))])
    error_message = "deployers: expected user:, group: or serviceAccount: followed by an address."
  }
}
