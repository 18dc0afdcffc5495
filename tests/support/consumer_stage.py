"""A consumer on stage: an in-memory broker that writes down what was done to each message, and a handler that does as told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tandem_contracts.envelope import Envelope
from tandem_messaging.consumer import Consumer, ConsumerLimits, event_of
from tandem_messaging.errors import BrokerUnavailableError
from tandem_messaging.memory import InMemoryBroker
from tandem_messaging.ports import OutgoingMessage, ReceivedMessage, Subscriber
from tests.support.feedback_builders import a_message

TOPIC, READER = "requests", "requests-worker"
ACK_DEADLINE_SECONDS = 0.2
LIMITS = ConsumerLimits(slots=3, lease_seconds=2, beat_seconds=0.05, drain_seconds=0.2)


@dataclass
class WatchedSubscriber:
    """Passes everything on to the broker and writes down what happened, in order."""

    inner: Subscriber
    asked: list[int] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    pulled: list[ReceivedMessage] = field(default_factory=list)
    broken_calls: int = 0

    async def pull(self, max_messages: int) -> Sequence[ReceivedMessage]:
        self.asked.append(max_messages)
        self._break_if_told()
        received = await self.inner.pull(max_messages)
        self.pulled.extend(received)
        return received

    async def extend_lease(self, ack_ids: Sequence[str], lease_seconds: int) -> None:
        self.history.append(f"extended by {lease_seconds}")
        await self.inner.extend_lease(ack_ids, lease_seconds)

    async def release(self, ack_ids: Sequence[str]) -> None:
        self.history.append("released")
        await self.inner.release(ack_ids)

    async def acknowledge(self, ack_ids: Sequence[str]) -> None:
        self.history.append("acknowledged")
        await self.inner.acknowledge(ack_ids)

    def _break_if_told(self) -> None:
        if self.broken_calls:
            self.broken_calls -= 1
            raise BrokerUnavailableError("the broker is away")

    @property
    def settled(self) -> list[str]:
        """What happened, without the heartbeat."""
        beat = f"extended by {LIMITS.lease_seconds}"
        return [event for event in self.history if event != beat]


@dataclass
class Stage:
    """A broker with one subscription, watched, and the dead letters of the consumer under test."""

    broker: InMemoryBroker
    subscriber: WatchedSubscriber
    dead: list[str] = field(default_factory=list)

    def make_topology(self) -> None:
        self.broker.create_topic(TOPIC)
        self.broker.create_subscription(READER, TOPIC, ack_deadline_seconds=ACK_DEADLINE_SECONDS)

    async def publish(self, *messages: OutgoingMessage) -> None:
        await self.broker.publish(TOPIC, messages or [a_message()])

    async def bury(self, message: ReceivedMessage, error: Exception) -> None:
        self.dead.append(str(error))
        self.subscriber.history.append("buried")

    @asynccontextmanager
    async def consuming(
        self, handler: Callable[[Envelope], Awaitable[None]], **options: Any
    ) -> AsyncIterator[Consumer[Envelope]]:
        consumer = Consumer(
            self.subscriber,
            handler,
            **{"read": event_of, "dead_letter": self.bury, "limits": LIMITS, **options},
        )
        running = asyncio.create_task(consumer.run())
        try:
            yield consumer
            assert not running.done(), "the loop has ended"
        finally:
            await consumer.drain()
            running.cancel()
            await asyncio.wait([running])


class Handler:
    """Does what `acts` says, call by call, then returns at once; None waits for `gate`."""

    def __init__(self, *acts: Exception | None) -> None:
        self.acts = list(acts)
        self.started: list[str] = []
        self.finished: list[str] = []
        self.gate = asyncio.Event()

    async def __call__(self, envelope: Envelope) -> None:
        self.started.append(envelope.event.request_id)
        if self.acts:
            act = self.acts.pop(0)
            if act is not None:
                raise act
            await self.gate.wait()
        self.finished.append(envelope.event.request_id)


def blocking(calls: int) -> Handler:
    return Handler(*[None] * calls)
