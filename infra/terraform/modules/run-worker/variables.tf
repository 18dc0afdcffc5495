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

variable "environment" {
  description = "Environment variables. PORT is set by Cloud Run and refused here."
  type        = map(string)
  default     = {}

  validation {
    condition     = !contains(keys(var.environment), "PORT")
    error_message = "environment: Cloud Run sets PORT itself and refuses a service that does."
  }
}

variable "secrets" {
  description = "Environment variables whose values are secrets, each with the version to use."
  type        = map(object({ name = string, version = string }))
  default     = {}

  validation {
    condition     = alltrue([for secret in values(var.secrets) : can(regex("^[1-9][0-9]*$", secret.version))])
    error_message = "secrets: expected a version number; with latest, instances of one revision could hold different values."
  }
}

variable "database" {
  description = "Variable that takes the database's address, that address, and the proxy that signs in. null: no database."
  type = object({
    variable        = string
    url             = string
    connection_name = string
    proxy_image     = string
  })
  default = null

  validation {
    condition     = var.database == null ? true : can(regex("^[^@ ]+/[^@ ]+@sha256:[0-9a-f]{64}$", var.database.proxy_image))
    error_message = "database.proxy_image: expected REGISTRY/NAME@sha256:64 hexadecimal digits."
  }

  validation {
    condition     = var.database == null ? true : !can(regex("://[^@/]*:[^@/]*@", var.database.url))
    error_message = "database.url: expected no password in it; the proxy signs in."
  }
}

variable "limits" {
  description = "CPU and memory of one instance."
  type        = map(string)
  default     = { cpu = "1", memory = "512Mi" }
}

variable "args" {
  description = "Words after the image's entry point; empty for the image's own."
  type        = list(string)
  default     = []
}

variable "instances" {
  description = "Number of workers. They share the backlog; the GPU sets the pace."
  type        = number

  validation {
    condition     = var.instances >= 1 && var.instances <= 100 && floor(var.instances) == var.instances
    error_message = "instances: expected a whole number from 1 to 100."
  }
}
