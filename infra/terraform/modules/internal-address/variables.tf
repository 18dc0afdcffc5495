variable "project_id" {
  description = "Project that holds the load balancer."
  type        = string
}

variable "name" {
  description = "Name of the load balancer's parts."
  type        = string
}

variable "region" {
  description = "Region of the load balancer."
  type        = string
}

variable "network" {
  description = "Id of the network."
  type        = string
}

variable "subnetwork" {
  description = "Id of the subnet that the address is of."
  type        = string
}

variable "proxies_subnetwork" {
  description = "Id of the proxy-only subnet."
  type        = string
}

variable "address" {
  description = "The address itself, chosen here so that callers know it before it exists."
  type        = string

  validation {
    condition     = can(regex("^(10\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|192\\.168\\.)", var.address))
    error_message = "address: expected a private address."
  }
}

variable "port" {
  description = "Port of the load balancer and of the machines."
  type        = number
}

variable "instance_group" {
  description = "Instance group that answers."
  type        = string
}

variable "longest_answer_seconds" {
  description = "How long one answer may take, its stream included."
  type        = number
  default     = 3600

  validation {
    condition     = var.longest_answer_seconds >= 300 && var.longest_answer_seconds <= 86400
    error_message = "longest_answer_seconds: expected 300 to 86400; the load balancer's own 30 seconds would cut answers off."
  }
}
