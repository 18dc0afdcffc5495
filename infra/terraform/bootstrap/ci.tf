# Who CI is, without a key: GitHub signs a token for a workflow, Google takes it for one of two identities. The named branch and
# pull requests of this one repository may plan, which reads; only the branch, in the protected environment, may apply.

locals {
  repository = "${var.github.owner}/${var.github.repository}"
  pool       = "projects/${var.project_number}/locations/global/workloadIdentityPools/github"

  plan_roles = toset([
    "roles/browser",
    "roles/viewer",
    "roles/iam.securityReviewer",
  ])

  # What the environments are made of, kind by kind; neither owner nor editor.
  apply_roles = toset([
    "roles/artifactregistry.admin",
    "roles/cloudsql.admin",
    "roles/compute.instanceAdmin.v1",
    "roles/compute.loadBalancerAdmin",
    "roles/compute.networkAdmin",
    "roles/compute.securityAdmin",
    "roles/iam.serviceAccountAdmin",
    "roles/iap.admin",
    "roles/logging.configWriter",
    "roles/monitoring.editor",
    "roles/pubsub.admin",
    "roles/run.admin",
    "roles/secretmanager.admin",
    "roles/servicenetworking.networksAdmin",
    "roles/serviceusage.serviceUsageConsumer",
  ])

  identities = {
    for use in ["plan", "apply"] : use => "serviceAccount:tandem-ci-${use}@${var.project_id}.iam.gserviceaccount.com"
  }

  # All that the environments grant on the project itself; the apply identity may hand out these and no others.
  grantable_roles = [
    "roles/cloudsql.client",
    "roles/cloudsql.instanceUser",
    "roles/compute.osAdminLogin",
    "roles/logging.logWriter",
    "roles/monitoring.metricWriter",
  ]
}

resource "google_iam_workload_identity_pool" "github" {
  project                   = var.project_id
  workload_identity_pool_id = "github"
  display_name              = "GitHub workflows"

  depends_on = [google_project_service.this]
}

resource "google_iam_workload_identity_pool_provider" "github" {
  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub"

  # Names can be taken over when an account is deleted, ids cannot: the owner is checked by both.
  attribute_condition = join(" && ", [
    "assertion.repository == \"${local.repository}\"",
    "assertion.repository_owner_id == \"${var.github.owner_id}\"",
    "(assertion.ref == \"refs/heads/${var.github.branch}\" || assertion.ref.matches(\"^refs/pull/[0-9]+/merge$\"))",
  ])

  attribute_mapping = {
    "google.subject"       = "assertion.sub"
    "attribute.repository" = "assertion.repository"
    "attribute.deploys"    = "assertion.repository + \"@\" + assertion.ref + \"@\" + (\"environment\" in assertion ? assertion.environment : \"\")"
  }

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account" "ci" {
  for_each = toset(["plan", "apply"])

  project      = var.project_id
  account_id   = "tandem-ci-${each.value}"
  display_name = "CI: ${each.value}"

  depends_on = [google_project_service.this]
}

resource "google_service_account_iam_member" "plan" {
  service_account_id = google_service_account.ci["plan"].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${local.pool}/attribute.repository/${local.repository}"

  depends_on = [google_iam_workload_identity_pool_provider.github]
}

resource "google_service_account_iam_member" "apply" {
  service_account_id = google_service_account.ci["apply"].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${local.pool}/attribute.deploys/${local.repository}@refs/heads/${var.github.branch}@${var.github.environment}"

  depends_on = [google_iam_workload_identity_pool_provider.github]
}

resource "google_project_iam_member" "plan" {
  for_each = local.plan_roles

  project = var.project_id
  role    = each.value
  member  = local.identities.plan

  depends_on = [google_service_account.ci]
}

resource "google_project_iam_member" "apply" {
  for_each = local.apply_roles

  project = var.project_id
  role    = each.value
  member  = local.identities.apply

  depends_on = [google_service_account.ci]
}

resource "google_project_iam_member" "apply_grants" {
  project = var.project_id
  role    = "roles/resourcemanager.projectIamAdmin"
  member  = local.identities.apply

  condition {
    title      = "named-roles-only"
    expression = "api.getAttribute(\"iam.googleapis.com/modifiedGrantsByRole\", []).hasOnly([${join(", ", [for role in local.grantable_roles : "\"${role}\""])}])"
  }

  depends_on = [google_service_account.ci]
}

# A plan reads the state and takes no lock (terraform plan -lock=false): it needs no right to write.
resource "google_storage_bucket_iam_member" "plan" {
  bucket = google_storage_bucket.states.name
  role   = "roles/storage.objectViewer"
  member = local.identities.plan

  depends_on = [google_service_account.ci]
}

resource "google_storage_bucket_iam_member" "apply" {
  bucket = google_storage_bucket.states.name
  role   = "roles/storage.objectAdmin"
  member = local.identities.apply

  depends_on = [google_service_account.ci]
}
