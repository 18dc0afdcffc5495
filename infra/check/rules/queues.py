"""Topics and subscriptions: nothing is lost without a word, and the names are those that the services use."""

import re
from collections.abc import Iterator

from infra.check.plan import Plan, Resource, RuleBook, members
from tandem_contracts.topics import SUBSCRIPTIONS, TOPICS, Subscription

BOOK = RuleBook()
_TOPIC_GRANT, _SUBSCRIPTION_GRANT = "google_pubsub_topic_iam_member", "google_pubsub_subscription_iam_member"
_PUBLISHER, _SUBSCRIBER = "roles/pubsub.publisher", "roles/pubsub.subscriber"
_AGENT = "@gcp-sa-pubsub.iam.gserviceaccount.com"
_AGENT_MEMBER = re.compile(r"serviceAccount:service-\d+@gcp-sa-pubsub\.iam\.gserviceaccount\.com")
_SHORTEST_RETENTION_SECONDS = 7 * 24 * 3600


def _short(path: str | None) -> str:
    return (path or "").rsplit("/", 1)[-1]


def _subscriptions(plan: Plan) -> list[Resource]:
    return plan.of("google_pubsub_subscription")


def _dead_letter_topics(plan: Plan) -> set[str]:
    return {_short(s.get("dead_letter_policy.dead_letter_topic")) for s in _subscriptions(plan)} - {""}


@BOOK.on("dev", "prod")
def subscription_has_dead_letters(plan: Plan) -> Iterator[str]:
    dead = _dead_letter_topics(plan)
    for subscription in _subscriptions(plan):
        topic = _short(subscription.values["topic"])
        if topic not in dead and not subscription.get("dead_letter_policy.dead_letter_topic"):
            yield f"{subscription.address}: has no dead-letter topic, and what cannot be served would come back for ever"


@BOOK.on("dev", "prod")
def dead_letters_are_kept(plan: Plan) -> Iterator[str]:
    kept = {_short(s.values["topic"]) for s in _subscriptions(plan)}
    for topic in sorted(_dead_letter_topics(plan) - kept):
        yield f"{topic}: has no subscription, and dead letters would be dropped as they arrive"


@BOOK.on("dev", "prod")
def agent_may_move_dead_letters(plan: Plan) -> Iterator[str]:
    for subscription in _subscriptions(plan):
        topic = _short(subscription.get("dead_letter_policy.dead_letter_topic"))
        if not topic:
            continue
        name = subscription.values["name"]
        takers = members(plan.of(_SUBSCRIPTION_GRANT), subscription=name, role=_SUBSCRIBER)
        if not any(_AGENT_MEMBER.fullmatch(member) for member in takers):
            yield f"{name}: Pub/Sub's agent lacks {_SUBSCRIBER} on it and cannot take messages away"
        publishers = members(plan.of(_TOPIC_GRANT), topic=topic, role=_PUBLISHER)
        if not any(_AGENT_MEMBER.fullmatch(member) for member in publishers):
            yield f"{topic}: Pub/Sub's agent lacks {_PUBLISHER} on it and cannot put dead letters there"


@BOOK.on("dev", "prod")
def subscription_never_expires(plan: Plan) -> Iterator[str]:
    for subscription in _subscriptions(plan):
        if subscription.get("expiration_policy.ttl") != "":
            yield f'{subscription.address}: expected expiration_policy {{ ttl = "" }}; idle for 31 days it would be deleted'


@BOOK.on("dev", "prod")
def subscription_backs_off(plan: Plan) -> Iterator[str]:
    for subscription in _subscriptions(plan):
        if subscription.get("retry_policy.minimum_backoff") != "10s":
            yield f"{subscription.address}: expected a retry policy from 10s, or a failing message is delivered without a pause"


@BOOK.on("dev", "prod")
def messages_are_kept_over_an_outage(plan: Plan) -> Iterator[str]:
    for subscription in _subscriptions(plan):
        kept = subscription.values.get("message_retention_duration") or "0s"
        if float(kept.removesuffix("s")) < _SHORTEST_RETENTION_SECONDS:
            yield f"{subscription.address}: keeps messages for {kept}; expected a week, or an outage loses them"


@BOOK.on("dev", "prod")
def messages_are_pulled_and_stay_in_the_region(plan: Plan) -> Iterator[str]:
    for subscription in _subscriptions(plan):
        if subscription.values.get("push_config"):
            yield f"{subscription.address}: is pushed; the services pull"
    for topic in plan.of("google_pubsub_topic"):
        if not topic.get("message_storage_policy.allowed_persistence_regions"):
            yield f"{topic.address}: conversations may be stored in any region of the world"


@BOOK.on("dev", "prod")
def names_are_those_of_the_contracts(plan: Plan) -> Iterator[str]:
    topics = {topic.values["name"] for topic in plan.of("google_pubsub_topic")}
    if topics != set(TOPICS):
        yield f"topics: planned {sorted(topics)}, the services use {sorted(TOPICS)}"
    planned = {s.values["name"]: _contract(s) for s in _subscriptions(plan)}
    for wanted in SUBSCRIPTIONS:
        if wanted.name not in planned:
            yield f"{wanted.name}: is used by the services and not planned"
        elif not _agree(planned[wanted.name], wanted):
            yield f"{wanted.name}: planned {planned[wanted.name]}, the services expect {wanted}"
    for name in sorted(set(planned) - {wanted.name for wanted in SUBSCRIPTIONS}):
        yield f"{name}: is planned and unknown to the services; its backlog would grow for ever"


def _contract(subscription: Resource) -> Subscription:
    return Subscription(
        name=subscription.values["name"],
        topic=_short(subscription.values["topic"]),
        dead_letter_topic=_short(subscription.get("dead_letter_policy.dead_letter_topic")) or None,
        max_delivery_attempts=subscription.get("dead_letter_policy.max_delivery_attempts") or 0,
        ack_deadline_seconds=subscription.values["ack_deadline_seconds"],
    )


def _agree(planned: Subscription, wanted: Subscription) -> bool:
    if wanted.dead_letter_topic is None:
        return (planned.topic, planned.dead_letter_topic) == (wanted.topic, None)
    return planned == wanted


_WHO_DOES_WHAT = {
    "dev": ("tandem-dev-machine", "tandem-dev-machine"),
    "prod": ("tandem-chat", "tandem-feedback"),
}


@BOOK.on("dev", "prod")
def services_have_their_queue_grants_and_no_others(plan: Plan) -> Iterator[str]:
    chat, feedback = _WHO_DOES_WHAT[plan.root]
    expected = {
        ("feedback-requests", _PUBLISHER, chat),
        ("feedback-requests", _PUBLISHER, feedback),
        ("feedback-requests-dead", _PUBLISHER, feedback),
        ("feedback-results", _PUBLISHER, feedback),
        ("feedback-requests-worker", _SUBSCRIBER, feedback),
        ("feedback-results-chat", _SUBSCRIBER, chat),
    }
    planned = {
        (grant.values.get("topic") or grant.values["subscription"], grant.values["role"], _account(grant))
        for grant in plan.of(_TOPIC_GRANT, _SUBSCRIPTION_GRANT)
        if not grant.values["member"].endswith(_AGENT)
    }
    for resource, role, account in sorted(expected - planned):
        yield f"{resource}: {account} lacks {role}"
    for resource, role, account in sorted(planned - expected):
        yield f"{resource}: {account} has {role} and does not need it"


def _account(grant: Resource) -> str:
    member: str = grant.values["member"]
    return member.removeprefix("serviceAccount:").split("@")[0]
