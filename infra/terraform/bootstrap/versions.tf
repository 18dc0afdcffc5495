# Run once per project by a person with the owner role, with its state on that person's disk; it makes the bucket that all
# other states lie in. Move its own state there afterwards: docs/runbooks/first-deploy.md.
terraform {
  required_version = ">= 1.11.0"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 8.7"
    }
  }
}

provider "google" {
  project               = var.project_id
  region                = var.region
  user_project_override = true
  billing_project       = var.project_id
}
