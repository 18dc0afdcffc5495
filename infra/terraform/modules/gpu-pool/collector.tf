# The container that reads the others' metrics and writes them to Cloud Monitoring as managed Prometheus.

locals {
  collector_file = "/etc/tandem/collector.yaml"

  collector_files = var.collector == null ? {} : {
    (local.collector_file) = yamlencode({
      receivers = {
        prometheus = {
          config = {
            scrape_configs = [{
              job_name        = "tandem"
              scrape_interval = "30s"
              static_configs  = [{ targets = [for port in var.collector.ports : "127.0.0.1:${port}"] }]
            }]
          }
        }
      }
      processors = { resourcedetection = { detectors = ["gcp"] } }
      exporters  = { googlemanagedprometheus = {} }
      service = {
        pipelines = {
          metrics = { receivers = ["prometheus"], processors = ["resourcedetection"], exporters = ["googlemanagedprometheus"] }
        }
      }
    })
  }

  collector_containers = var.collector == null ? {} : {
    collector = {
      image            = var.collector.image
      command          = ["--config=${local.collector_file}"]
      first_command    = []
      environment      = {}
      secrets          = {}
      volumes          = {}
      files            = [local.collector_file]
      gpu              = false
      shared_memory_gb = 1
      open_port        = null
      stop_seconds     = 10
    }
  }

  containers = merge(var.containers, local.collector_containers)
  files      = merge(var.files, local.collector_files)
}
