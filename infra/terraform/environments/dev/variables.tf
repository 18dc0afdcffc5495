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

variable "cidr_range" {
  description = "Address range of the machine's subnet."
  type        = string
  default     = "10.20.0.0/24"
}

variable "images" {
  description = "Images by digest."
  type = object({
    chat      = string
    feedback  = string
    inference = string
    collector = string
  })

  validation {
    condition     = alltrue([for image in values(var.images) : can(regex("^[^@ ]+/[^@ ]+@sha256:[0-9a-f]{64}$", image))])
    error_message = "images: expected REGISTRY/NAME@sha256:64 hexadecimal digits for each; a tag may change under a running service."
  }
}

variable "machine" {
  description = "The one L4 machine; it is made in whichever of the zones has an L4. spot: cheaper, and may go with 30 seconds' notice."
  type = object({
    machine_type = optional(string, "g2-standard-4")
    zones        = set(string)
    spot         = optional(bool, true)
    kept_disk_gb = optional(number, 60)
  })

  validation {
    condition     = alltrue([for zone in var.machine.zones : startswith(zone, "${var.region}-")])
    error_message = "machine.zones: expected zones of ${var.region}."
  }
}
