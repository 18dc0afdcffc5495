"""Sends what cannot be served to the dead-letter topic, with the reason and where it came from attached."""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from tandem_contracts import topics
from tandem_messaging.errors import PermanentError, TopologyMissingError, TransientError
from tandem_messaging.ports import OutgoingMessage, Publisher, ReceivedMessage

logger = logging.getLogger(__name__)

# Pub/Sub's own bound on an attribute's value.
_MAX_ATTRIBUTE_BYTES = 1024
UNREADABLE = "unreadable"


class DeadLetters:
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
