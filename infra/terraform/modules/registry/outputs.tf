output "address" {
  description = "What stands before an image's name: docker push ADDRESS/chat:TAG."
  value       = "${var.region}-docker.pkg.dev/${var.project_id}/${var.name}"
  depends_on  = [google_artifact_registry_repository.this]
}
