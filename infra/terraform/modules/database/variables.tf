variable "project_id" {
  description = "Project that holds the database."
  type        = string
}

variable "region" {
  description = "Region of the database and its backups."
  type        = string
}

variable "name" {
  description = "Name of the instance. A deleted instance's name stays taken for a week."
  type        = string

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,82}[a-z0-9])?$", var.name))
    error_message = "name: expected 1 to 84 lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen."
  }
}

variable "network" {
  description = "Id of the network that reaches the database."
  type        = string
}

variable "tier" {
  description = "Size of the machine."
  type        = string
  default     = "db-custom-1-3840"

  validation {
    condition     = can(regex("^(db-f1-micro|db-g1-small|db-custom-[0-9]+-[0-9]+)$", var.tier))
    error_message = "tier: the ENTERPRISE edition takes db-f1-micro, db-g1-small and db-custom-VCPUS-MEGABYTES."
  }
}

variable "highly_available" {
  description = "Whether a standby in another zone takes over; doubles the price."
  type        = bool
}

variable "retained_backups" {
  description = "Daily backups to keep."
  type        = number
  default     = 14

  validation {
    condition     = var.retained_backups >= 7 && var.retained_backups <= 365
    error_message = "retained_backups: expected 7 to 365."
  }
}

variable "services" {
  description = "For each service, and its database of the same name, the e-mail of the service account that signs in."
  type        = map(string)

  validation {
    condition     = alltrue([for email in values(var.services) : can(regex("^[^@]+@[^@]+\\.iam\\.gserviceaccount\\.com$", email))])
    error_message = "services: expected e-mails of service accounts."
  }
}
