variable "project_id" {
  description = "Project that holds the registry."
  type        = string
}

variable "region" {
  description = "Region of the registry; the machines' own, so that pulling is quick and free."
  type        = string
}

variable "name" {
  description = "Name of the repository."
  type        = string

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$", var.name))
    error_message = "name: expected 1 to 63 lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen."
  }
}

variable "readers" {
  description = "Members that pull images."
  type        = set(string)
}

variable "writers" {
  description = "Members that push images."
  type        = set(string)
  default     = []
}
