variable "project_id" {
  description = "Project that it runs in."
  type        = string
}

variable "region" {
  description = "Region that it runs in."
  type        = string
}

variable "name" {
  description = "Name on Cloud Run, and of the container."
  type        = string

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,47}[a-z0-9])?$", var.name))
    error_message = "name: expected 1 to 49 lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen."
  }
}

variable "image" {
  description = "Image by digest."
  type        = string

  validation {
    condition     = can(regex("^[^@ ]+/[^@ ]+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image: expected REGISTRY/NAME@sha256:64 hexadecimal digits; a tag may change under a running service."
  }
}

variable "service_account" {
  description = "E-mail of the service account that it runs as."
  type        = string

  validation {
    condition     = can(regex("^[^@]+@[^@]+\\.iam\\.gserviceaccount\\.com$", var.service_account))
    error_message = "service_account: expected a service account of its own, not the project's default one."
  }
}

variable "network" {
  description = "Id of the network that it reaches inference and the database through."
  type        = string
}

variable "subnetwork" {
  description = "Id of the subnet that its addresses are taken from."
  type        = string
}

variable "command" {
  description = "Command that migrates, e.g. tandem-chat migrate."
  type        = string
}

variable "environment" {
  description = "Environment variables."
  type        = map(string)
  default     = {}
}

variable "database" {
  description = "Variable that takes the database's address, that address, and the proxy that signs in."
  type = object({
    variable        = string
    url             = string
    connection_name = string
    proxy_image     = string
  })

  validation {
    condition     = can(regex("^[^@ ]+/[^@ ]+@sha256:[0-9a-f]{64}$", var.database.proxy_image))
    error_message = "database.proxy_image: expected REGISTRY/NAME@sha256:64 hexadecimal digits."
  }
}
