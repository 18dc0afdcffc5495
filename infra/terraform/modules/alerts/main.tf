# What wakes somebody: work that waits, work that failed for good, machines that are missing, answers that are errors.

locals {
  channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  queue_thresholds = merge([
    for name, queue in var.queues : {
      "${name} waits too long" = {
        filter    = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${queue.subscription}\" AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
        threshold = queue.oldest_age_seconds
        above     = true
        duration  = "300s"
        aligner   = "ALIGN_MAX"
        severity  = "WARNING"
        advice    = "The oldest message of ${queue.subscription} is older than ${queue.oldest_age_seconds} s. Look at the pool's size (docs/runbooks/stockout.md) and at the worker's log."
      }
      "${name} has dead letters" = {
        filter    = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${queue.dead_letter_subscription}\" AND metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\""
        threshold = 0
        above     = true
        duration  = "0s"
        aligner   = "ALIGN_MAX"
        severity  = "ERROR"
        advice    = "Read them: gcloud pubsub subscriptions pull ${queue.dead_letter_subscription} --limit=10. The reason is in the attributes."
      }
    }
  ]...)

  pool_thresholds = var.pool.min == 0 ? {} : {
    "machines are missing" = {
      filter    = "resource.type = \"instance_group\" AND resource.labels.instance_group_name = \"${var.pool.name}\" AND metric.type = \"compute.googleapis.com/instance_group/size\""
      threshold = var.pool.min
      above     = false
      duration  = "900s"
      aligner   = "ALIGN_MEAN"
      severity  = "CRITICAL"
      advice    = "The group ${var.pool.name} has fewer machines than ${var.pool.min}: a stockout, a quota or a preemption. docs/runbooks/stockout.md"
    }
  }

  database_thresholds = var.database == null ? {} : {
    "database disk fills" = {
      filter    = "resource.type = \"cloudsql_database\" AND resource.labels.database_id = \"${var.project_id}:${var.database}\" AND metric.type = \"cloudsql.googleapis.com/database/disk/utilization\""
      threshold = 0.8
      above     = true
      duration  = "300s"
      aligner   = "ALIGN_MEAN"
      severity  = "ERROR"
      advice    = "The database's disk is 80 % full and may be at its largest size."
    }
  }

  public_thresholds = var.public_url_map == null ? {} : {
    "users get errors" = {
      filter    = "resource.type = \"https_lb_rule\" AND resource.labels.url_map_name = \"${var.public_url_map}\" AND metric.type = \"loadbalancing.googleapis.com/https/request_count\" AND metric.labels.response_code_class = 500"
      threshold = 0.1
      above     = true
      duration  = "300s"
      aligner   = "ALIGN_RATE"
      severity  = "CRITICAL"
      advice    = "The front door answers 5xx. Look at chat's log on Cloud Run and at the internal load balancer's backends."
    }
  }

  internal_thresholds = var.internal_url_map == null ? {} : {
    "inference answers with errors" = {
      filter    = "resource.type = \"internal_http_lb_rule\" AND resource.labels.url_map_name = \"${var.internal_url_map}\" AND metric.type = \"loadbalancing.googleapis.com/https/internal/request_count\" AND metric.labels.response_code_class = 500"
      threshold = 0.1
      above     = true
      duration  = "300s"
      aligner   = "ALIGN_RATE"
      severity  = "ERROR"
      advice    = "Inference or its load balancer answers 5xx: no healthy machine, or an engine that crashes. GET /engines on a machine tells."
    }
  }

  thresholds = merge(
    local.queue_thresholds, local.pool_thresholds, local.database_thresholds,
    local.public_thresholds, local.internal_thresholds,
  )

  # Scraped from the machines. In PromQL, because a policy on a metric that has not been seen yet is refused otherwise.
  queries = {
    "no engine is ready" = {
      query    = "(max(tandem_engine_ready) or vector(0)) < 1"
      duration = "${var.start_seconds}s"
      severity = "CRITICAL"
      advice   = "No engine answers: starting for too long, flapping, or no machine. docs/runbooks/stockout.md, then GET /engines."
    }
    "users wait for the first word" = {
      query    = "histogram_quantile(0.95, sum by (le) (rate(tandem_gateway_time_to_first_byte_seconds_bucket{tandem_request_class=\"interactive\"}[5m]))) > ${var.longest_wait_seconds}"
      duration = "600s"
      severity = "ERROR"
      advice   = "One in twenty chat answers waits longer than ${var.longest_wait_seconds} s in the engine's queue. Raise size.max, or look for callers without a class."
    }
    "GPU memory is short" = {
      query    = "max({\"__name__\"=\"vllm:kv_cache_usage_perc\"}) > 0.95"
      duration = "900s"
      severity = "WARNING"
      advice   = "The KV cache has been full for a quarter of an hour and requests are preempted. Plan again: make plan-check."
    }
  }
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.emails

  project      = var.project_id
  display_name = each.value
  type         = "email"

  labels = {
    email_address = each.value
  }
}

resource "google_monitoring_alert_policy" "threshold" {
  for_each = local.thresholds

  project               = var.project_id
  display_name          = "${var.name}: ${each.key}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels

  conditions {
    display_name = each.key

    condition_threshold {
      filter          = each.value.filter
      comparison      = each.value.above ? "COMPARISON_GT" : "COMPARISON_LT"
      threshold_value = each.value.threshold
      duration        = each.value.duration

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = each.value.aligner
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content   = each.value.advice
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "query" {
  for_each = local.queries

  project               = var.project_id
  display_name          = "${var.name}: ${each.key}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels

  conditions {
    display_name = each.key

    condition_prometheus_query_language {
      query                     = each.value.query
      duration                  = each.value.duration
      evaluation_interval       = "60s"
      disable_metric_validation = true
    }
  }

  documentation {
    content   = each.value.advice
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "out_of_memory" {
  project               = var.project_id
  display_name          = "${var.name}: an engine ran out of GPU memory"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels

  conditions {
    display_name = "out of memory in a container's log"

    condition_matched_log {
      filter = "resource.type = \"gce_instance\" AND logName = \"projects/${var.project_id}/logs/cos_containers\" AND \"out of memory\""
    }
  }

  alert_strategy {
    notification_rate_limit {
      period = "1800s"
    }
  }

  documentation {
    content   = "`tandem-plan doctor` on the log says what the failure means and what would start."
    mime_type = "text/markdown"
  }
}
