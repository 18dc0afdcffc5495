"""Alerts and the budget: what goes wrong reaches somebody."""

import json
from collections.abc import Iterator

from infra.check.plan import Plan, Resource, RuleBook, machine
from tandem_contracts.topics import SUBSCRIPTIONS

BOOK = RuleBook()
_LONGEST_WAIT_SECONDS = 3600


def _filters(plan: Plan) -> list[str]:
    return [
        text
        for policy in plan.of("google_monitoring_alert_policy")
        for condition in policy.values["conditions"]
        for text in [_condition(condition)]
    ]


def _condition(condition: dict[str, object]) -> str:
    kinds = [value for key, value in condition.items() if key.startswith("condition_") and value]
    return json.dumps(kinds).replace('\\"', '"')


@BOOK.on("dev", "prod")
def every_queue_is_watched(plan: Plan) -> Iterator[str]:
    filters = _filters(plan)
    dead = {subscription.dead_letter_topic for subscription in SUBSCRIPTIONS}
    for subscription in SUBSCRIPTIONS:
        metric = "num_undelivered_messages" if subscription.topic in dead else "oldest_unacked_message_age"
        if not any(f'subscription_id = "{subscription.name}"' in text and metric in text for text in filters):
            yield f"{subscription.name}: no alert on {metric}"


@BOOK.on("dev", "prod")
def dead_letters_are_told_at_once(plan: Plan) -> Iterator[str]:
    for policy in plan.of("google_monitoring_alert_policy"):
        threshold = (policy.get("conditions.condition_threshold") or [{}])[0]
        first = threshold.get("threshold_value") == 0 and threshold.get("comparison") == "COMPARISON_GT"
        if "-inspection" in (threshold.get("filter") or "") and not first:
            yield f"{policy.address}: expected an alert on the first dead letter"


@BOOK.on("dev", "prod")
def waiting_is_told_within_an_hour(plan: Plan) -> Iterator[str]:
    for policy in plan.of("google_monitoring_alert_policy"):
        threshold = (policy.get("conditions.condition_threshold") or [{}])[0]
        if (
            "oldest_unacked" in (threshold.get("filter") or "")
            and threshold["threshold_value"] > _LONGEST_WAIT_SECONDS
        ):
            yield f"{policy.address}: messages wait {threshold['threshold_value']} s before it is told"


@BOOK.on("dev", "prod")
def machines_and_engines_are_watched(plan: Plan) -> Iterator[str]:
    wanted = {
        "instance_group/size": "machines that are missing",
        "tandem_engine_ready": "engines that do not answer",
        "tandem_gateway_time_to_first_byte": "users that wait",
        "kv_cache_usage_perc": "GPU memory that is short",
        "out of memory": "engines that ran out of memory",
    }
    if plan.root == "prod":
        wanted |= {
            "https/request_count": "errors that users see",
            "https/internal/request_count": "errors of inference",
            "database/disk/utilization": "a database disk that fills",
        }
    for text, meaning in wanted.items():
        if not any(text in filter_ for filter_ in _filters(plan)):
            yield f"alerts: none on {meaning} ({text})"


@BOOK.on("dev", "prod")
def engines_are_scraped(plan: Plan) -> Iterator[str]:
    for template in plan.of("google_compute_instance_template"):
        booted = machine(template)
        config = booted.files.get("/etc/tandem/collector.yaml", "")
        for port in ("8800", "8801"):
            if "collector" not in booted.containers() or f"127.0.0.1:{port}" not in config:
                yield f"{template.address}: nothing scrapes port {port}, and alerts on engines would mean nothing"


@BOOK.on("dev", "prod")
def alerts_reach_somebody(plan: Plan) -> Iterator[str]:
    if not plan.of("google_monitoring_notification_channel"):
        yield "alerts: there is no notification channel"
    for policy in plan.of("google_monitoring_alert_policy"):
        if not _told(policy, "notification_channels") or policy.values.get("enabled") is False:
            yield f"{policy.address}: reaches nobody"
        if not policy.get("documentation.content"):
            yield f"{policy.address}: does not say what to do"


@BOOK.on("dev", "prod")
def money_is_watched(plan: Plan) -> Iterator[str]:
    budgets = plan.of("google_billing_budget")
    if not budgets:
        yield "budget: there is none"
    for budget in budgets:
        rules = {
            (rule["threshold_percent"], rule["spend_basis"]) for rule in budget.values["threshold_rules"]
        }
        wanted = {(share, "CURRENT_SPEND") for share in (0.5, 0.9, 1)} | {(1, "FORECASTED_SPEND")}
        if not wanted <= rules:
            yield f"{budget.address}: expected warnings at 50, 90 and 100 % and at a forecast of 100 %"
        if not budget.get("budget_filter.projects"):
            yield f"{budget.address}: counts every project of the billing account"
        unknown = (budget.unknown.get("all_updates_rule") or [{}])[0]
        if not (
            budget.get("all_updates_rule.monitoring_notification_channels")
            or unknown.get("monitoring_notification_channels")
        ):
            yield f"{budget.address}: reaches nobody but the billing administrators"


def _told(policy: Resource, key: str) -> bool:
    return bool(policy.values.get(key) or policy.unknown.get(key))
