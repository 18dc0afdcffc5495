variable "project_id" {
  description = "Project that holds the secrets."
  type        = string
}

variable "region" {
  description = "Region in which the values are kept."
  type        = string
}

variable "accessors" {
  description = "For each secret's name the members that may read it."
  type        = map(set(string))

  validation {
    condition     = alltrue([for name in keys(var.accessors) : can(regex("^[-_A-Za-z0-9]{1,255}$", name))])
    error_message = "accessors: a secret's name has 1 to 255 letters, digits, hyphens and underscores."
  }

  validation {
    condition     = alltrue(flatten([for members in values(var.accessors) : [for member in members : can(regex("^serviceAccount:[^@ ]+@[^@ ]+$", member))]]))
    error_message = "accessors: expected service accounts only (serviceAccount:NAME@...)."
  }
}
