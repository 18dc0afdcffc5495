variable "project_id" {
  description = "Project that holds the machines."
  type        = string
}

variable "name" {
  description = "Name of the group; machines are called NAME-xxxx."
  type        = string

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,34}[a-z0-9])?$", var.name))
    error_message = "name: expected 1 to 36 lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen."
  }
}

variable "region" {
  description = "Region of the group."
  type        = string
}

variable "zones" {
  description = "Zones with L4s in which machines may be made. Changing them makes the group anew."
  type        = set(string)

  validation {
    condition     = length(var.zones) > 0 && alltrue([for zone in var.zones : can(regex("^${var.region}-[a-f]$", zone))])
    error_message = "zones: expected zones of ${var.region}, such as ${var.region}-a."
  }
}

variable "machine_type" {
  description = "A G2 machine: its L4s belong to the type."
  type        = string

  validation {
    condition     = contains([for vcpus in [4, 8, 12, 16, 24, 32, 48, 96] : "g2-standard-${vcpus}"], var.machine_type)
    error_message = "machine_type: only g2-standard-4, -8, -12, -16, -32 (one L4), -24 (two), -48 (four) and -96 (eight) have L4s."
  }
}

variable "spot" {
  description = "Machines at about 60 % of the price that Google may take back with 30 seconds' notice."
  type        = bool
}

variable "size" {
  description = "Fewest and most machines. Equal: a fixed group whose disks are kept. Different: scaled on the backlog."
  type = object({
    min = number
    max = number
  })

  validation {
    condition     = var.size.min >= 0 && var.size.max >= 1 && var.size.min <= var.size.max && var.size.max <= 20 && floor(var.size.min) == var.size.min && floor(var.size.max) == var.size.max
    error_message = "size: expected whole numbers, 0 <= min <= max and 1 <= max <= 20; max is what caps the bill."
  }
}

variable "backlog" {
  description = "Subscription whose backlog the size follows, and how many messages one machine should own."
  type = object({
    subscription         = string
    messages_per_machine = optional(number, 100)
  })
  default = null

  validation {
    condition     = var.backlog != null || var.size.min == var.size.max
    error_message = "backlog: a group that scales (size.min < size.max) needs a subscription to follow."
  }

  validation {
    condition     = var.backlog == null ? true : var.backlog.messages_per_machine > 0
    error_message = "backlog.messages_per_machine: expected more than 0."
  }
}

variable "image_family" {
  description = "Long-term milestone of Container-Optimized OS."
  type        = string
  default     = "cos-121-lts"

  validation {
    condition     = can(regex("^cos-[0-9]+-lts$", var.image_family))
    error_message = "image_family: expected a long-term milestone such as cos-121-lts; cos-stable changes under a running group."
  }
}

variable "driver_version" {
  description = "NVIDIA driver: a branch such as R580, a full version, default or latest."
  type        = string
  default     = "R580"

  validation {
    condition     = can(regex("^(default|latest|R[0-9]{3}|[0-9]{3}\\.[0-9]+\\.[0-9]+)$", var.driver_version))
    error_message = "driver_version: expected a branch such as R580, a full version such as 580.95.05, default or latest."
  }
}

variable "boot_disk_gb" {
  description = "Boot disk; a vLLM image takes about 30 GB unpacked, twice that during an update."
  type        = number
  default     = 100

  validation {
    condition     = var.boot_disk_gb >= 80 && var.boot_disk_gb <= 65536
    error_message = "boot_disk_gb: expected at least 80, or the images do not fit."
  }
}

variable "kept_disk" {
  description = "Disk for weights, compile cache and local data. image: what a scaled group's disks start from."
  type = object({
    size_gb = number
    type    = optional(string, "pd-balanced")
    image   = optional(string)
  })

  validation {
    condition     = contains(["pd-balanced", "pd-ssd"], var.kept_disk.type)
    error_message = "kept_disk.type: G2 machines take pd-balanced and pd-ssd here; pd-standard is refused."
  }

  validation {
    condition     = var.kept_disk.size_gb >= 10 && var.kept_disk.size_gb <= 65536
    error_message = "kept_disk.size_gb: expected 10 to 65536."
  }

  validation {
    condition     = var.kept_disk.image == null ? true : can(regex("^projects/[^/]+/global/images/(family/)?[a-z][-a-z0-9]*$", var.kept_disk.image))
    error_message = "kept_disk.image: expected projects/PROJECT/global/images/NAME or .../images/family/NAME."
  }
}

variable "subnetwork" {
  description = "Id of the subnet. Machines get no public address."
  type        = string
}

variable "service_account" {
  description = "E-mail of the machines' service account."
  type        = string

  validation {
    condition     = can(regex("^[^@]+@[^@]+\\.iam\\.gserviceaccount\\.com$", var.service_account))
    error_message = "service_account: expected a service account of its own, not the project's default one."
  }
}

variable "containers" {
  description = "Containers by name, each a unit of its own. They share the machine's network, so loopback reaches between them. first_command runs to its end before each start, e.g. a migration."
  type = map(object({
    image            = string
    command          = optional(list(string), [])
    first_command    = optional(list(string), [])
    environment      = optional(map(string), {})
    secrets          = optional(map(object({ name = string, version = string })), {})
    volumes          = optional(map(string), {})
    files            = optional(list(string), [])
    gpu              = optional(bool, false)
    shared_memory_gb = optional(number, 1)
    open_port        = optional(number)
    stop_seconds     = optional(number, 20)
  }))

  validation {
    condition     = alltrue([for container in values(var.containers) : can(regex("^[^@ ]+/[^@ ]+@sha256:[0-9a-f]{64}$", container.image))])
    error_message = "containers: expected images by digest, REGISTRY/NAME@sha256:64 hexadecimal digits; a tag may change under a running service."
  }

  validation {
    condition     = alltrue([for name in keys(var.containers) : can(regex("^[a-z][-a-z0-9]*$", name))])
    error_message = "containers: expected names of lower-case letters, digits and hyphens."
  }

  validation {
    condition     = alltrue([for container in values(var.containers) : container.stop_seconds >= 5 && container.stop_seconds <= 25])
    error_message = "containers: stop_seconds must be 5 to 25, or a spot machine is off before the container has ended."
  }

  validation {
    condition     = anytrue([for container in values(var.containers) : container.gpu])
    error_message = "containers: no container has gpu = true, and the L4 would idle."
  }
}

variable "files" {
  description = "Files to lay on the machine, by absolute path under /etc/tandem."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for path in keys(var.files) : startswith(path, "/etc/tandem/")])
    error_message = "files: expected paths under /etc/tandem/; most other folders are read-only on Container-Optimized OS."
  }
}

variable "user_id" {
  description = "User id that the images run as; it owns its folders on the kept disk."
  type        = number
  default     = 10001

  validation {
    condition     = var.user_id >= 1000
    error_message = "user_id: expected an ordinary user's id (1000 or more)."
  }
}

variable "health" {
  description = "Where health checks look: 200 there has to mean that models answer, not that a port is open."
  type = object({
    port = number
    path = optional(string, "/ready")
  })
}

variable "start_seconds" {
  description = "Longest cold start: driver, image, weights, compilation. Healing any sooner would kill slow starters for ever."
  type        = number
  default     = 1800

  validation {
    condition     = var.start_seconds >= 900 && var.start_seconds <= 3600
    error_message = "start_seconds: expected 900 to 3600; a cold start of vLLM on an L4 takes 10 to 16 minutes."
  }
}

variable "operators" {
  description = "Members that may open a shell on the machines through IAP."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.operators : can(regex("^(user|group):[^@ ]+@[^@ ]+$", member))])
    error_message = "operators: expected user: or group: followed by an address."
  }
}

variable "collector" {
  description = "OpenTelemetry collector that scrapes these loopback ports for Cloud Monitoring; null: nothing is scraped. There is no Ops Agent on this system."
  type = object({
    image = string
    ports = list(number)
  })
  default = null

  validation {
    condition     = var.collector == null ? true : can(regex("^[^@ ]+/[^@ ]+@sha256:[0-9a-f]{64}$", var.collector.image)) && length(var.collector.ports) > 0
    error_message = "collector: expected an image by digest, REGISTRY/NAME@sha256:64 hexadecimal digits, and at least one port."
  }
}
