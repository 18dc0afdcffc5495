variable "project_id" {
  description = "Project to prepare; it exists and has a billing account."
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
  description = "Region of the bucket."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region: expected a region such as us-central1, without a zone's letter."
  }
}

variable "state_bucket" {
  description = "Name of the bucket for states; unique in the whole world."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][-_a-z0-9]{1,61}[a-z0-9]$", var.state_bucket)) && !startswith(var.state_bucket, "goog") && !strcontains(var.state_bucket, "google")
    error_message = "state_bucket: expected 3 to 63 lower-case letters, digits, hyphens and underscores, without the word google."
  }
}

variable "github" {
  description = "Repository whose workflows may come in: owner and its numeric id, repository, and branch and environment that may apply."
  type = object({
    owner       = string
    owner_id    = string
    repository  = string
    branch      = optional(string, "main")
    environment = string
  })

  validation {
    condition     = can(regex("^[0-9]+$", var.github.owner_id))
    error_message = "github.owner_id: expected digits; https://api.github.com/users/OWNER shows the id."
  }

  validation {
    condition     = alltrue([for part in [var.github.owner, var.github.repository, var.github.branch, var.github.environment] : can(regex("^[A-Za-z0-9._-]+$", part))])
    error_message = "github: expected plain names without slashes, spaces or wildcards."
  }
}
