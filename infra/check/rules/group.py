"""The group of machines: health, size, updates, and its disks over a machine's death."""

from collections.abc import Iterator

from infra.check.plan import Plan, Resource, RuleBook

BOOK = RuleBook()
_SHORTEST_COLD_START_SECONDS = 900
_MOST_MACHINES = 20


def _groups(plan: Plan) -> list[Resource]:
    return plan.of("google_compute_region_instance_group_manager")


def _autoscalers(plan: Plan) -> list[Resource]:
    return plan.of("google_compute_region_autoscaler")


@BOOK.on("dev", "prod")
def group_survives_a_stockout(plan: Plan) -> Iterator[str]:
    if not _groups(plan):
        yield "no regional group of machines is planned"
    for group in _groups(plan):
        if group.values["distribution_policy_target_shape"] != "ANY":
            yield f"{group.address}: expected target shape ANY; any other waits for the one zone that has no L4"
        if group.get("update_policy.instance_redistribution_type") != "NONE":
            yield f"{group.address}: expected instance_redistribution_type NONE; a running model is not moved for balance"
        if plan.root == "prod" and len(group.values["distribution_policy_zones"] or []) < 2:
            yield f"{group.address}: expected at least two zones"


@BOOK.on("dev", "prod")
def update_needs_no_gpu_more(plan: Plan) -> Iterator[str]:
    for group in _groups(plan):
        zones = len(group.values["distribution_policy_zones"] or [])
        if group.get("update_policy.max_surge_fixed") != 0 or group.get("update_policy.max_surge_percent"):
            yield f"{group.address}: expected no surge; there is no GPU quota for a machine more"
        if (group.get("update_policy.max_unavailable_fixed") or 0) < max(zones, 1):
            yield f"{group.address}: max_unavailable_fixed has to be at least the number of zones ({zones})"
        if group.get("update_policy.type") != "OPPORTUNISTIC":
            yield f"{group.address}: expected OPPORTUNISTIC; an apply must not take the running model away"
        if group.get("update_policy.replacement_method") != "RECREATE":
            yield f"{group.address}: expected RECREATE, which goes with no surge and with kept disks"


@BOOK.on("dev", "prod")
def healing_waits_for_a_cold_start(plan: Plan) -> Iterator[str]:
    for group in _groups(plan):
        if (group.get("auto_healing_policies.initial_delay_sec") or 0) < _SHORTEST_COLD_START_SECONDS:
            yield f"{group.address}: heals before a cold start is over, for ever"
        if group.values.get("wait_for_instances"):
            yield f"{group.address}: Terraform would wait for machines and time out"


@BOOK.on("dev", "prod")
def health_means_a_model_answers(plan: Plan) -> Iterator[str]:
    checks = plan.of("google_compute_region_health_check", "google_compute_health_check")
    if not checks:
        yield "no health check is planned"
    for check in checks:
        if (
            check.get("http_health_check.request_path") != "/ready"
            or check.get("http_health_check.port") != 8800
        ):
            yield f"{check.address}: expected HTTP /ready on 8800; an open port says nothing about a model"
        if check.values["timeout_sec"] > check.values["check_interval_sec"]:
            yield f"{check.address}: timeout_sec is greater than check_interval_sec, which Google refuses"
    healing = [check for check in checks if check.values["name"].endswith("-healing")]
    for check in healing:
        if check.values["unhealthy_threshold"] * check.values["check_interval_sec"] < 180:
            yield f"{check.address}: gives an engine that restarts less than three minutes"
    if not healing:
        yield "no health check of its own decides which machine is replaced"


@BOOK.on("prod")
def size_follows_the_backlog(plan: Plan) -> Iterator[str]:
    if not _autoscalers(plan):
        yield "no autoscaler is planned for production's example values"
    for autoscaler in _autoscalers(plan):
        metric = "autoscaling_policy.metric"
        if autoscaler.get(f"{metric}.name") != "pubsub.googleapis.com/subscription/num_undelivered_messages":
            yield f"{autoscaler.address}: expected to follow num_undelivered_messages, got {autoscaler.get(f'{metric}.name')}"
        if 'subscription_id = "feedback-requests-worker"' not in (autoscaler.get(f"{metric}.filter") or ""):
            yield f"{autoscaler.address}: follows another subscription than the workers'"
        if not autoscaler.get(f"{metric}.single_instance_assignment") or autoscaler.get(f"{metric}.target"):
            yield f"{autoscaler.address}: expected single_instance_assignment and no target"
        if autoscaler.get("autoscaling_policy.mode") != "ON":
            yield f"{autoscaler.address}: expected mode ON"


@BOOK.on("dev", "prod")
def size_is_bounded(plan: Plan) -> Iterator[str]:
    for autoscaler in _autoscalers(plan):
        least, most = (
            autoscaler.get(f"autoscaling_policy.{key}") for key in ("min_replicas", "max_replicas")
        )
        if not 0 <= least <= most <= _MOST_MACHINES:
            yield f"{autoscaler.address}: {least} to {most} machines; expected a most of {_MOST_MACHINES}, which caps the bill"
        if autoscaler.get("autoscaling_policy.cooldown_period") < _SHORTEST_COLD_START_SECONDS:
            yield f"{autoscaler.address}: cools down before a new machine serves, and would add more than needed"
        if autoscaler.get("autoscaling_policy.scale_in_control.max_scaled_in_replicas.fixed") != 1:
            yield f"{autoscaler.address}: expected to remove one machine at a time"
    scaled = bool(_autoscalers(plan))
    for group in _groups(plan):
        if scaled and group.values.get("target_size") is not None:
            yield f"{group.address}: target_size beside an autoscaler: each apply would undo its work"
        if not scaled and not 0 <= (group.values.get("target_size") or 0) <= _MOST_MACHINES:
            yield f"{group.address}: expected at most {_MOST_MACHINES} machines"


@BOOK.on("dev", "prod")
def disks_outlive_machines(plan: Plan) -> Iterator[str]:
    scaled = bool(_autoscalers(plan))
    kept = [
        disk
        for template in plan.of("google_compute_instance_template")
        for disk in template.values["disk"]
        if not disk["boot"]
    ]
    for group in _groups(plan):
        stateful = {
            disk["device_name"]: disk["delete_rule"] for disk in group.values.get("stateful_disk") or []
        }
        if scaled and stateful:
            yield f"{group.address}: Google refuses an autoscaler on a group with stateful disks"
        if not scaled and stateful != {"kept": "NEVER"}:
            yield f"{group.address}: expected the disk kept to be stateful and never deleted"
        moves = group.get("instance_lifecycle_policy.on_repair.allow_changing_zone")
        if moves != ("YES" if scaled else "NO"):
            yield f"{group.address}: allow_changing_zone {moves}: only machines without kept disks may change zone, and they should"
    for disk in kept:
        if disk["auto_delete"] == (not scaled):
            yield f"the kept disk: auto_delete {disk['auto_delete']} does not fit a group that {'scales' if scaled else 'keeps disks'}"
        if scaled and not disk.get("source_image"):
            yield "the kept disk: a machine that is added would start with no weights; expected an image to start from"
    if not scaled and not plan.of("google_compute_resource_policy"):
        yield "the kept disk: has no snapshots"
