"""What the rest of the library needs of a broker, and nothing more; `pubsub` and `memory` both provide it.

Delivery is at least once and in no particular order: whoever uses a port must bear duplicates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class OutgoingMessage:
    """A message to publish. The same `ordering_key` keeps the order for subscriptions that ask for it."""

    data: bytes
    attributes: Mapping[str, str]
    ordering_key: str = ""


@dataclass(frozen=True)
class ReceivedMessage:
    """A message held under a lease; `ack_id` names this delivery, not the message."""

    data: bytes
    attributes: Mapping[str, str]
    message_id: str
    ack_id: str
    delivery_attempt: int = field(default=0)


class Publisher(Protocol):
    """Publishes to topics by short name."""

    async def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> None:
        """Return once the broker has stored all `messages`; a retry after an error may store some twice.

        Raises:
            BrokerUnavailableError: no answer within the time limit.
            TopologyMissingError: the topic does not exist.
        """


class Subscriber(Protocol):
    """Receives from one subscription. All methods may raise the two errors named at `Publisher.publish`."""

    async def pull(self, max_messages: int) -> Sequence[ReceivedMessage]:
        """Wait a few seconds at most for up to `max_messages`; fewer, or none, does not mean an empty queue."""

    async def extend_lease(self, ack_ids: Sequence[str], lease_seconds: int) -> None:
        """Keep the deliveries for `lease_seconds` from now; unknown or lapsed ones are ignored."""

    async def release(self, ack_ids: Sequence[str]) -> None:
        """Give the deliveries back for immediate redelivery."""

    async def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """Finish the deliveries for good; one whose lease lapsed may still come back."""
