"""What cannot be served, as messages of the dead-letter topic: sent with the reason and origin attached, and read back."""

import logging
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ValidationError

from tandem_contracts import topics
from tandem_contracts.feedback.v1 import Identifier
from tandem_feedback.domain.dead_letter import Death
from tandem_messaging.errors import PermanentError, TopologyMissingError, TransientError
from tandem_messaging.ports import OutgoingMessage, Publisher, ReceivedMessage

logger = logging.getLogger(__name__)

# Pub/Sub's own bound on an attribute's value.
_MAX_ATTRIBUTE_BYTES = 1024
UNREADABLE = "unreadable"
_DELIVERY_LIMIT = "delivery_limit"
_UNKNOWN = "unknown"
_UNEXPLAINED = {
    True: "delivered too often without being finished; Pub/Sub itself sent it to the dead letters",
    False: "published to the dead-letter topic without a reason",
}
# Attributes that a message did not have in life.
_ADDED = ("tandem-dead-", "tandem-replay", "CloudPubSubDeadLetter", "goog")
REPLAY_OF = "tandem-replay-of"
REPLAYS = "tandem-replays"


class DeadLetterSender:
    """Publishes to the dead-letter topic; raises TransientError when it cannot, so that the message stays held."""

    def __init__(
        self, publisher: Publisher, make_topology: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._publisher = publisher
        self._make_topology = make_topology

    async def send(self, message: ReceivedMessage, error: Exception) -> None:
        """Publish `message` as it came, plus `tandem-dead-*` attributes. The caller acknowledges it afterwards."""
        reason = str(error)
        attributes = {
            # Pub/Sub adds names of its own but refuses them from a publisher.
            **{name: text for name, text in message.attributes.items() if not name.startswith("goog")},
            "tandem-dead-code": error.code if isinstance(error, PermanentError) else UNREADABLE,
            "tandem-dead-reason": reason.encode()[:_MAX_ATTRIBUTE_BYTES].decode(errors="ignore"),
            "tandem-dead-attempts": str(message.delivery_attempt),
            "tandem-dead-message-id": message.message_id,
            "tandem-dead-subscription": topics.FEEDBACK_REQUESTS_WORKER.name,
            "tandem-dead-time": datetime.now(UTC).isoformat(),
        }
        # Pub/Sub refuses a message without data and attributes, and an empty one has to be looked at as well.
        letter = OutgoingMessage(message.data, attributes)
        try:
            await self._publisher.publish(topics.FEEDBACK_REQUESTS_DEAD, [letter])
        except TopologyMissingError as missing:
            if self._make_topology is None:
                raise
            await self._make_topology()
            raise TransientError("the dead-letter topic was missing and has been made") from missing
        logger.error("message.dead", extra={"message_id": message.message_id, "reason": reason})


def death_of(message: ReceivedMessage) -> Death:
    """Read a message of the dead-letter topic: sent there by a worker, or by Pub/Sub after its own limit of deliveries."""
    told = message.attributes
    sent_by_worker = "tandem-dead-message-id" in told
    counted = told.get("tandem-dead-attempts") or told.get("CloudPubSubDeadLetterSourceDeliveryCount", "")
    by_pubsub = "CloudPubSubDeadLetterSourceSubscription" in told
    code = told.get("tandem-dead-code") or (_DELIVERY_LIMIT if by_pubsub else _UNKNOWN)
    key = f"{told.get('tandem-dead-subscription', '')}/{told.get('tandem-dead-message-id', '')}"
    return Death(
        key=(key if sent_by_worker else f"pubsub/{message.message_id}")[:255],
        code=code[:64],
        reason=told.get("tandem-dead-reason") or _UNEXPLAINED[code == _DELIVERY_LIMIT],
        attempts=int(counted) if re.fullmatch("[0-9]{1,9}", counted) else 0,
        origin=told.get("ce-source", "unknown")[:255],
        request_id=_request_id(message.data),
        data=message.data,
        attributes={name: text for name, text in told.items() if not name.startswith(_ADDED)},
        died_at=_time(told.get("tandem-dead-time", "")),
        replay_of=told.get(REPLAY_OF),
    )


def _request_id(data: bytes) -> str | None:
    try:
        return _Named.model_validate_json(data).request_id
    except ValidationError:
        return None


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.utcoffset() == timedelta(0) else None


class _Named(BaseModel):
    request_id: Identifier
