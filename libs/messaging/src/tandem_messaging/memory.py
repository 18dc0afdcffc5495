"""An in-memory twin of Pub/Sub for unit tests; it passes the same suite as the real adapter.

Keeps the promises that matter (at least once, leases that lapse, dead subscriptions keep nothing) and no others.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from tandem_messaging.errors import TopologyMissingError
from tandem_messaging.ports import OutgoingMessage, ReceivedMessage

_PULL_WAIT_SECONDS = 0.2


@dataclass
class _Stored:
    message: OutgoingMessage
    message_id: str
    deliveries: int = 0
    ack_id: str | None = None
    leased_until: float = 0.0


@dataclass
class _Queue:
    topic: str
    ack_deadline_seconds: float
    messages: list[_Stored] = field(default_factory=list)


class InMemoryBroker:
    """Topics and subscriptions of one process; make them first, as on the real one."""

    def __init__(self) -> None:
        self._topics: set[str] = set()
        self._queues: dict[str, _Queue] = {}
        self._ids = count(1)
        self._arrived = asyncio.Condition()

    def create_topic(self, topic: str) -> None:
        """Create `topic` if it is new."""
        self._topics.add(topic)

    def create_subscription(self, name: str, topic: str, *, ack_deadline_seconds: float = 10.0) -> None:
        """Create a subscription that receives what is published to `topic` from now on."""
        self._queues.setdefault(name, _Queue(topic, ack_deadline_seconds))

    def forget_everything(self) -> None:
        """Lose all topics, subscriptions and messages, as the emulator does when it is killed."""
        self._topics.clear()
        self._queues.clear()

    def subscriber(self, subscription: str) -> "InMemorySubscriber":
        """Return the consuming side of `subscription`."""
        return InMemorySubscriber(self, subscription)

    async def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> None:
        if topic not in self._topics:
            raise TopologyMissingError(f"topic {topic}: not found")
        async with self._arrived:
            for queue in (q for q in self._queues.values() if q.topic == topic):
                queue.messages.extend(_Stored(message, str(next(self._ids))) for message in messages)
            self._arrived.notify_all()

    def _queue(self, subscription: str) -> _Queue:
        if subscription not in self._queues:
            raise TopologyMissingError(f"subscription {subscription}: not found")
        return self._queues[subscription]

    async def pull(self, subscription: str, max_messages: int) -> Sequence[ReceivedMessage]:
        try:
            async with asyncio.timeout(_PULL_WAIT_SECONDS), self._arrived:
                while not (received := self._lease(self._queue(subscription), max_messages)):
                    await self._arrived.wait()
        except TimeoutError:
            return self._lease(self._queue(subscription), max_messages)
        return received

    def _lease(self, queue: _Queue, max_messages: int) -> list[ReceivedMessage]:
        now = asyncio.get_running_loop().time()
        received = []
        for stored in [s for s in queue.messages if s.leased_until <= now][:max_messages]:
            stored.deliveries += 1
            stored.ack_id = f"{stored.message_id}-{stored.deliveries}"
            stored.leased_until = now + queue.ack_deadline_seconds
            message = stored.message
            received.append(
                ReceivedMessage(message.data, dict(message.attributes), stored.message_id, stored.ack_id)
            )
        return received

    def held(self, subscription: str, ack_ids: Sequence[str]) -> list[_Stored]:
        """Return the stored messages whose lease under one of `ack_ids` still holds."""
        now = asyncio.get_running_loop().time()
        return [s for s in self._queue(subscription).messages if s.ack_id in ack_ids and s.leased_until > now]

    async def remove(self, subscription: str, held: Sequence[_Stored]) -> None:
        queue = self._queue(subscription)
        queue.messages = [s for s in queue.messages if s not in held]

    async def wake(self) -> None:
        async with self._arrived:
            self._arrived.notify_all()


class InMemorySubscriber:
    """`ports.Subscriber` on one in-memory subscription."""

    def __init__(self, broker: InMemoryBroker, subscription: str) -> None:
        self._broker = broker
        self._subscription = subscription

    async def pull(self, max_messages: int) -> Sequence[ReceivedMessage]:
        return await self._broker.pull(self._subscription, max_messages)

    async def extend_lease(self, ack_ids: Sequence[str], lease_seconds: int) -> None:
        until = asyncio.get_running_loop().time() + lease_seconds
        for stored in self._broker.held(self._subscription, ack_ids):
            stored.leased_until = until

    async def release(self, ack_ids: Sequence[str]) -> None:
        for stored in self._broker.held(self._subscription, ack_ids):
            stored.leased_until = 0.0
        await self._broker.wake()

    async def acknowledge(self, ack_ids: Sequence[str]) -> None:
        await self._broker.remove(self._subscription, self._broker.held(self._subscription, ack_ids))
