"""What production's Pub/Sub may do and the emulator never does, on the in-memory twin: one message with several at once, lost acks, any order."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from tandem_contracts import topics
from tandem_contracts.envelope import Envelope, decode, encode
from tandem_contracts.feedback import FeedbackRequestedV1
from tandem_feedback.adapters.sql.tables import outbox
from tandem_feedback.application.handle_request import HandleRequest, HandlingLimits
from tandem_feedback.application.judge import Judge
from tandem_feedback.application.ports import ChatMessages, Generation
from tandem_feedback.domain.rubric import Rubric, Rubrics
from tandem_messaging.consumer import Consumer, ConsumerLimits, event_of
from tandem_messaging.memory import InMemoryBroker, InMemorySubscriber
from tandem_messaging.ports import OutgoingMessage, ReceivedMessage
from tandem_messaging.relay import Relay
from tests.support.eventually import eventually
from tests.support.fake_engine import FakeEngine
from tests.support.feedback_bench import LEASE, FeedbackBench, open_bench
from tests.support.feedback_builders import a_request, an_envelope

REQUESTS, WORKERS = 60, 3
RUBRICS = Rubrics([Rubric("general", 1, "General", "Judge.", ("Clarity",))])
OUTBOX: Table = outbox


class UnrulySubscriber(InMemorySubscriber):
    """Hands a message to several at once, forgets acknowledgements and mixes the order, as the dice say."""

    def __init__(self, broker: InMemoryBroker, subscription: str, dice: random.Random) -> None:
        super().__init__(broker, subscription)
        self._dice = dice

    async def pull(self, max_messages: int) -> Sequence[ReceivedMessage]:
        received = list(await super().pull(max_messages))
        self._dice.shuffle(received)
        shared = [message.ack_id for message in received if self._dice.random() < 0.3]
        await self.release(shared)
        return received

    async def acknowledge(self, ack_ids: Sequence[str]) -> None:
        if self._dice.random() < 0.3:
            await self.release(ack_ids)
            return
        await super().acknowledge(ack_ids)


class BusyEngine(FakeEngine):
    """Takes its time, so that others come by meanwhile."""

    async def generate(self, model: str, messages: ChatMessages, **options: Any) -> Generation:
        await asyncio.sleep(0.05)
        return await super().generate(model, messages, **options)


async def never(message: ReceivedMessage, error: Exception) -> None:
    raise AssertionError(f"nothing here is for the dead letters: {error}")


@asynccontextmanager
async def working(
    bench: FeedbackBench, broker: InMemoryBroker, engine: FakeEngine, seed: int
) -> AsyncIterator[None]:
    """Run workers and a relay, as processes of their own as far as they can tell."""
    relay = Relay(bench.database, OUTBOX, broker)
    consumers = []
    for number in range(WORKERS):
        handle = HandleRequest(
            bench.store,
            Judge(engine, RUBRICS, "default-model"),
            HandlingLimits(lease=LEASE, max_attempts=5),
            on_committed=relay.wake,
        )
        subscriber = UnrulySubscriber(broker, "requests", random.Random(f"{seed}/{number}"))
        limits = ConsumerLimits(slots=4, lease_seconds=2, beat_seconds=0.5, drain_seconds=0)
        consumers.append(Consumer(subscriber, handle.handle, read=event_of, dead_letter=never, limits=limits))
    async with AsyncExitStack() as stack:
        for loop in (relay.run, *(consumer.run for consumer in consumers)):
            task = asyncio.create_task(loop())
            stack.push_async_callback(asyncio.wait, [task])
            stack.callback(task.cancel)
        for consumer in consumers:
            stack.push_async_callback(consumer.drain)
        yield


async def publish(broker: InMemoryBroker, request: FeedbackRequestedV1) -> None:
    data, attributes = encode(an_envelope(request))
    await broker.publish(topics.FEEDBACK_REQUESTS, [OutgoingMessage(data, attributes)])


async def test_each_request_is_generated_and_told_once_whatever_the_broker_delivers(
    tmp_path: Path, seed: int
) -> None:
    broker, engine = InMemoryBroker(), BusyEngine()
    for topic in (topics.FEEDBACK_REQUESTS, topics.FEEDBACK_RESULTS):
        broker.create_topic(topic)
    broker.create_subscription("requests", topics.FEEDBACK_REQUESTS, ack_deadline_seconds=2.0)
    broker.create_subscription("results", topics.FEEDBACK_RESULTS)
    requests = [a_request() for _ in range(REQUESTS)]
    told: dict[str, set[bytes]] = {}
    events: Counter[str] = Counter()

    def all_told() -> bool:
        return set(told) == {request.request_id for request in requests}

    async with (
        open_bench(f"sqlite+aiosqlite:///{tmp_path}/feedback.db") as bench,
        working(bench, broker, engine, seed),
    ):
        for request in requests:
            await publish(broker, request)
        reading = asyncio.create_task(read(broker, told, events))
        await eventually("every request is told", all_told, seconds=120)
        reading.cancel()
    assert all(len(outcomes) == 1 for outcomes in told.values())
    assert set(events) == {"feedback.completed.v1"}
    assert len(engine.asked) == REQUESTS


async def read(broker: InMemoryBroker, told: dict[str, set[bytes]], events: Counter[str]) -> None:
    results = broker.subscriber("results")
    while True:
        for message in await results.pull(100):
            envelope: Envelope = decode(message.data, message.attributes)
            told.setdefault(envelope.event.request_id, set()).add(message.data)
            events[envelope.event.event_type] += 1
            await results.acknowledge([message.ack_id])
