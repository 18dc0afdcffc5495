"""Makes the topics and subscriptions on the emulator, which forgets everything when it stops.

In production Terraform makes them and services have no right to: without the emulator this refuses to run.
"""

import logging

from google.api_core.exceptions import AlreadyExists, GoogleAPICallError

from tandem_contracts.topics import SUBSCRIPTIONS, TOPICS, Subscription
from tandem_messaging.errors import BrokerUnavailableError, PermanentError
from tandem_messaging.pubsub import CALL_TIMEOUT_SECONDS, PubSub

logger = logging.getLogger(__name__)


async def make_topology(pubsub: PubSub) -> None:
    """Create every topic, then every subscription, leaving those that exist as they are.

    Raises:
        PermanentError: this is not the emulator.
        BrokerUnavailableError: the emulator does not answer.
    """
    if not pubsub.is_emulator:
        raise PermanentError(
            "topics: only made on the emulator (set PUBSUB_EMULATOR_HOST); use Terraform elsewhere"
        )
    try:
        for topic in TOPICS:
            await _create_topic(pubsub, topic)
        for subscription in SUBSCRIPTIONS:
            await _create_subscription(pubsub, subscription)
    except GoogleAPICallError as error:
        raise BrokerUnavailableError(f"Pub/Sub emulator: {error.message}") from error
    logger.info("topology.made", extra={"topics": len(TOPICS), "subscriptions": len(SUBSCRIPTIONS)})


async def _create_topic(pubsub: PubSub, topic: str) -> None:
    try:
        await pubsub.publisher_client.create_topic(
            request={"name": pubsub.topic_path(topic)}, retry=None, timeout=CALL_TIMEOUT_SECONDS
        )
    except AlreadyExists:
        return


async def _create_subscription(pubsub: PubSub, subscription: Subscription) -> None:
    request = {
        "name": pubsub.subscription_path(subscription.name),
        "topic": pubsub.topic_path(subscription.topic),
        "ack_deadline_seconds": subscription.ack_deadline_seconds,
    }
    if subscription.dead_letter_topic:
        request["dead_letter_policy"] = {
            "dead_letter_topic": pubsub.topic_path(subscription.dead_letter_topic),
            "max_delivery_attempts": subscription.max_delivery_attempts,
        }
        # No retry policy, which production has: with one, this emulator keeps some messages whose extended lease ran
        # out from everybody for minutes.
    try:
        await pubsub.subscriber_client.create_subscription(
            request=request, retry=None, timeout=CALL_TIMEOUT_SECONDS
        )
    except AlreadyExists:
        return
