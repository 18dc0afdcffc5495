"""Names of the topics and subscriptions, so that publisher, consumer, emulator set-up and Terraform agree.

Names are short ids inside a Pub/Sub project; `libs/messaging` makes full paths of them.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Subscription:
    """A durable queue on a topic; after `max_delivery_attempts` a message goes to `dead_letter_topic`.

    The attempts are only a backstop: the consumer's own counter in SQL decides what is poison, because crashes and lapsed
    leases count as deliveries too.
    """

    name: str
    topic: str
    dead_letter_topic: str | None = None
    max_delivery_attempts: int = 100
    ack_deadline_seconds: int = 20


FEEDBACK_REQUESTS: Final = "feedback-requests"
FEEDBACK_RESULTS: Final = "feedback-results"
FEEDBACK_REQUESTS_DEAD: Final = "feedback-requests-dead"
FEEDBACK_RESULTS_DEAD: Final = "feedback-results-dead"

FEEDBACK_REQUESTS_WORKER: Final = Subscription(
    "feedback-requests-worker", FEEDBACK_REQUESTS, dead_letter_topic=FEEDBACK_REQUESTS_DEAD
)
FEEDBACK_RESULTS_CHAT: Final = Subscription(
    "feedback-results-chat", FEEDBACK_RESULTS, dead_letter_topic=FEEDBACK_RESULTS_DEAD
)
FEEDBACK_REQUESTS_DEAD_INSPECTION: Final = Subscription(
    "feedback-requests-dead-inspection", FEEDBACK_REQUESTS_DEAD
)
FEEDBACK_RESULTS_DEAD_INSPECTION: Final = Subscription(
    "feedback-results-dead-inspection", FEEDBACK_RESULTS_DEAD
)

TOPICS: Final = (FEEDBACK_REQUESTS, FEEDBACK_RESULTS, FEEDBACK_REQUESTS_DEAD, FEEDBACK_RESULTS_DEAD)
SUBSCRIPTIONS: Final = (
    FEEDBACK_REQUESTS_WORKER,
    FEEDBACK_RESULTS_CHAT,
    FEEDBACK_REQUESTS_DEAD_INSPECTION,
    FEEDBACK_RESULTS_DEAD_INSPECTION,
)
