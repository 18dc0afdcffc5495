variable "project_id" {
  description = "Project that holds the load balancer."
  type        = string
}

variable "project_number" {
  description = "Number of the project: the Identity-Aware Proxy's agent is named after it."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{6,20}$", var.project_number))
    error_message = "project_number: expected digits only."
  }
}

variable "region" {
  description = "Region of the service."
  type        = string
}

variable "name" {
  description = "Name of the load balancer's parts."
  type        = string
}

variable "service" {
  description = "Cloud Run service that answers."
  type        = string
}

variable "domain" {
  description = "Host name that people type; its A record has to point to the output address."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "domain: expected a host name in lower case such as chat.example.com, without https:// and without a path."
  }
}

variable "users" {
  description = "Members that may use the service, as user:, group: or domain:."
  type        = set(string)

  validation {
    condition     = length(var.users) > 0 && alltrue([for member in var.users : can(regex("^((user|group|serviceAccount):[^@ ]+@[^@ ]+|domain:[^@ ]+)$", member))])
    error_message = "users: expected user:, group: or domain: entries; never allUsers, a paid GPU is behind it."
  }
}

variable "requests_per_minute" {
  description = "Requests that one address may make in a minute."
  type        = number
  default     = 300

  validation {
    condition     = var.requests_per_minute >= 1 && var.requests_per_minute <= 10000
    error_message = "requests_per_minute: Cloud Armor takes 1 to 10000."
  }
}
