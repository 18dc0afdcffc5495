variable "project_id" {
  description = "Project that holds the network."
  type        = string
}

variable "region" {
  description = "Region of the subnets and of NAT."
  type        = string
}

variable "name" {
  description = "Name of the network and first part of the names in it."
  type        = string

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,40}[a-z0-9])?$", var.name))
    error_message = "name: expected 1 to 42 lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen."
  }
}

variable "cidr_ranges" {
  description = "Address ranges: machines always; containers (Cloud Run) and proxies (internal load balancer) where there are any."
  type = object({
    machines   = string
    containers = optional(string)
    proxies    = optional(string)
  })

  validation {
    condition     = alltrue([for range in values(var.cidr_ranges) : range == null ? true : can(cidrhost(range, 1))])
    error_message = "cidr_ranges: expected ranges such as 10.10.0.0/24."
  }

  validation {
    condition = alltrue([
      for range in [var.cidr_ranges.containers, var.cidr_ranges.proxies] :
      range == null ? true : can(regex("/(1[0-9]|2[0-6])$", range))
    ])
    error_message = "cidr_ranges: Cloud Run and load balancer proxies are refused in subnets smaller than /26."
  }

  validation {
    condition = alltrue([
      for range in values(var.cidr_ranges) :
      range == null ? true : can(regex("^(10\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|192\\.168\\.)", range))
    ])
    error_message = "cidr_ranges: expected private ranges (10/8, 172.16/12, 192.168/16)."
  }
}

variable "machine_service_account" {
  description = "E-mail of the machines' service account: firewall rules name it, so that no tag opens a port."
  type        = string
}

variable "health_port" {
  description = "Port that health checks and the internal load balancer may reach."
  type        = number

  validation {
    condition     = var.health_port >= 1024 && var.health_port <= 65535
    error_message = "health_port: expected 1024 to 65535; the containers run without the right to lower ports."
  }
}
