variable "billing_account" {
  description = "Billing account that pays."
  type        = string

  validation {
    condition     = can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "billing_account: expected three groups of six hexadecimal digits, as `gcloud billing accounts list` prints it."
  }
}

variable "project_number" {
  description = "Number of the project whose costs count."
  type        = string
}

variable "name" {
  description = "Name of the budget."
  type        = string

  validation {
    condition     = length(var.name) >= 1 && length(var.name) <= 60
    error_message = "name: expected 1 to 60 characters."
  }
}

variable "monthly_amount" {
  description = "Whole units of the currency a month."
  type        = number

  validation {
    condition     = var.monthly_amount >= 1 && floor(var.monthly_amount) == var.monthly_amount
    error_message = "monthly_amount: expected a whole number of at least 1."
  }
}

variable "currency" {
  description = "Currency of the billing account; Google refuses any other."
  type        = string
  default     = "USD"

  validation {
    condition     = can(regex("^[A-Z]{3}$", var.currency))
    error_message = "currency: expected three capital letters such as USD."
  }
}

variable "notification_channels" {
  description = "Monitoring channels to tell, beside the billing administrators; five at most."
  type        = list(string)

  validation {
    condition     = length(var.notification_channels) >= 1 && length(var.notification_channels) <= 5
    error_message = "notification_channels: expected 1 to 5."
  }
}
