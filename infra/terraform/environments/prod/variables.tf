variable "project_id" {
  description = "Project of this environment, prepared by bootstrap."
  type        = string

  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id: expected 6 to 30 lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen."
  }
}

variable "project_number" {
  description = "Number of that project: gcloud projects describe PROJECT --format='value(projectNumber)'."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{6,20}$", var.project_number))
    error_message = "project_number: expected digits only."
  }
}

variable "region" {
  description = "Region of everything; it has to have L4s."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region: expected a region such as us-central1, without a zone's letter."
  }
}

variable "deployers" {
  description = "Members that apply this: bootstrap's ci_apply as serviceAccount:..., and people who do it by hand."
  type        = set(string)
  default     = []
}

variable "image_writers" {
  description = "Members that push images."
  type        = set(string)
  default     = []
}

variable "operators" {
  description = "Members that may open a shell on the machines through IAP, as user: or group:."
  type        = set(string)
  default     = []
}

variable "other_publishers" {
  description = "Other teams that publish feedback requests, as serviceAccount:..."
  type        = set(string)
  default     = []
}

variable "alert_emails" {
  description = "Addresses that alerts and the budget go to."
  type        = set(string)
}

variable "budget" {
  description = "What a month may cost before mails go out."
  type = object({
    billing_account = string
    monthly_amount  = number
    currency        = optional(string, "USD")
  })
}

variable "secret_versions" {
  description = "Version number of each secret in use. Raising one is how a key is rotated."
  type        = map(string)

  validation {
    condition     = alltrue([for name in ["inference-token", "hugging-face-token"] : can(regex("^[1-9][0-9]*$", var.secret_versions[name]))])
    error_message = "secret_versions: expected a version number for each of inference-token and hugging-face-token."
  }
}

variable "cidr_ranges" {
  description = "Address ranges of the network."
  type = object({
    machines   = string
    containers = string
    proxies    = string
  })
  default = {
    machines   = "10.10.0.0/24"
    containers = "10.10.1.0/24"
    proxies    = "10.10.2.0/24"
  }
}

variable "images" {
  description = "Images by digest."
  type = object({
    chat           = string
    feedback       = string
    inference      = string
    database_proxy = string
    collector      = string
  })

  validation {
    condition     = alltrue([for image in values(var.images) : can(regex("^[^@ ]+/[^@ ]+@sha256:[0-9a-f]{64}$", image))])
    error_message = "images: expected REGISTRY/NAME@sha256:64 hexadecimal digits for each; a tag may change under a running service."
  }
}

variable "inference" {
  description = "The L4 machines. size: equal numbers keep disks, different ones scale on the backlog (docs/adr/0011)."
  type = object({
    machine_type         = string
    zones                = set(string)
    spot                 = optional(bool, false)
    size                 = object({ min = number, max = number })
    messages_per_machine = optional(number, 100)
    kept_disk = object({
      size_gb = number
      type    = optional(string, "pd-balanced")
      image   = optional(string)
    })
  })

  validation {
    condition     = length(var.inference.zones) >= 2
    error_message = "inference.zones: expected at least two zones, or one stockout ends the service."
  }

  validation {
    condition     = alltrue([for zone in var.inference.zones : startswith(zone, "${var.region}-")])
    error_message = "inference.zones: expected zones of ${var.region}."
  }
}

variable "database" {
  description = "Size of PostgreSQL, and whether a standby takes over."
  type = object({
    tier             = optional(string, "db-custom-1-3840")
    highly_available = optional(bool, true)
  })
  default = {}
}

variable "chat_instances" {
  description = "Fewest and most instances of chat."
  type        = object({ min = number, max = number })
  default     = { min = 1, max = 4 }
}

variable "feedback_instances" {
  description = "Number of feedback workers."
  type        = number
  default     = 2
}

variable "domain" {
  description = "Host name that people type."
  type        = string
}

variable "users" {
  description = "Who may use chat, as user:, group: or domain:."
  type        = set(string)
}

variable "requests_per_minute" {
  description = "Requests that one address may make in a minute."
  type        = number
  default     = 300
}
