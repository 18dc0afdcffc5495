"""The consumer decides each message's fate by what its handler does, and never loses or hoards one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tandem_contracts.envelope import Envelope
from tandem_messaging import consumer as consumer_module
from tandem_messaging import memory
from tandem_messaging.consumer import Consumer, ConsumerLimits, event_of
from tandem_messaging.errors import BrokerUnavailableError, LaterError, PermanentError, TransientError
from tandem_messaging.memory import InMemoryBroker
from tandem_messaging.ports import OutgoingMessage, ReceivedMessage, Subscriber
from tests.support.eventually import eventually
from tests.support.feedback_builders import a_message, a_request

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


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(consumer_module, "_FIRST_BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(consumer_module, "_RETRY_FAILED_SECONDS", 1)
    monkeypatch.setattr(memory, "_PULL_WAIT_SECONDS", 0.02)
    broker = InMemoryBroker()
    stage = Stage(broker, WatchedSubscriber(broker.subscriber(READER)))
    stage.make_topology()
    return stage


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


async def test_no_more_is_held_than_there_are_slots_when_they_free_up_one_by_one(stage: Stage) -> None:
    turns = asyncio.Semaphore(0)
    running, done, peak = 0, 0, 0

    async def handle(_: Envelope) -> None:
        nonlocal running, done, peak
        running += 1
        peak = max(peak, running)
        await turns.acquire()
        running -= 1
        done += 1

    def reached(running_now: int, done_now: int) -> Callable[[], bool]:
        return lambda: (running, done) == (running_now, done_now)

    await stage.publish(*[a_message() for _ in range(8)])
    async with stage.consuming(handle):
        for finished in range(9):
            await eventually("slots are full again", reached(min(LIMITS.slots, 8 - finished), finished))
            turns.release()
    assert peak == LIMITS.slots
    assert len(stage.subscriber.pulled) == 8
    assert min(stage.subscriber.asked) >= 1


async def test_acknowledgement_comes_last_when_the_handler_succeeds(stage: Stage) -> None:
    await stage.publish()
    handler = blocking(1)
    async with stage.consuming(handler):
        await eventually("the handler runs", lambda: handler.started)
        assert stage.subscriber.settled == []
        handler.gate.set()
        await eventually("it is acknowledged", lambda: stage.subscriber.settled == ["acknowledged"])
    assert handler.finished


async def test_message_is_held_and_never_buried_when_waiting_helps(stage: Stage) -> None:
    await stage.publish()
    handler = Handler(*[TransientError("engine starting")] * 4)
    async with stage.consuming(handler):
        await eventually("it is done in the end", lambda: stage.subscriber.settled)
    assert stage.subscriber.settled == ["acknowledged"]
    assert len(handler.started) == 5
    assert len(stage.subscriber.pulled) == 1
    assert stage.dead == []


async def test_retry_after_is_honoured_when_the_error_names_it(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await stage.publish()
    async with stage.consuming(Handler(TransientError("full", retry_after=0.3))):
        await eventually("it is done in the end", lambda: stage.subscriber.settled)
    (waiting,) = [record for record in caplog.records if record.message == "consumer.waiting"]
    assert vars(waiting)["retry_in_seconds"] >= 0.3


async def test_wait_is_bounded_whatever_the_error_asks_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "_MAX_BACKOFF_SECONDS", 0.02)
    await stage.publish()
    async with stage.consuming(Handler(TransientError("full", retry_after=1e9))):
        await eventually("it is done in the end", lambda: stage.subscriber.settled)
    assert stage.subscriber.settled == ["acknowledged"]


async def test_message_is_buried_then_acknowledged_when_the_error_is_permanent(stage: Stage) -> None:
    await stage.publish()
    async with stage.consuming(Handler(PermanentError("another body"))):
        await eventually("it is settled", lambda: "acknowledged" in stage.subscriber.settled)
    assert stage.subscriber.settled == ["buried", "acknowledged"]
    assert stage.dead == ["another body"]


@pytest.mark.parametrize(
    ("data", "attributes", "reason"),
    [
        (b"{}", {}, "ce-type"),
        (b"{}", {"ce-type": "feedback.requested.v99"}, "feedback.requested.v99"),
        (b"no json", {"ce-type": "feedback.requested.v1"}, "JSON"),
        (b'{"request_id": 7}', {"ce-type": "feedback.requested.v1"}, "request_id"),
    ],
)
async def test_message_is_buried_with_the_reason_when_it_cannot_be_read(
    stage: Stage, data: bytes, attributes: dict[str, str], reason: str
) -> None:
    await stage.publish(OutgoingMessage(data, attributes), a_message())
    handler = Handler()
    async with stage.consuming(handler):
        await eventually("both are settled", lambda: stage.subscriber.settled.count("acknowledged") == 2)
    assert [reason in told for told in stage.dead] == [True]
    assert len(handler.finished) == 1


async def test_message_stays_held_when_the_dead_letters_cannot_be_reached(stage: Stage) -> None:
    await stage.publish()
    refusals = [BrokerUnavailableError("away")] * 2

    async def bury(message: ReceivedMessage, error: Exception) -> None:
        if refusals:
            raise refusals.pop()
        await stage.bury(message, error)

    async with stage.consuming(Handler(PermanentError("poison")), dead_letter=bury):
        await eventually("it is settled", lambda: "acknowledged" in stage.subscriber.settled)
    assert stage.subscriber.settled == ["buried", "acknowledged"]
    assert len(stage.subscriber.pulled) == 1


async def test_message_comes_back_later_and_the_loop_lives_when_the_handler_has_a_defect(
    stage: Stage,
) -> None:
    broken, good = a_request(), a_request()
    await stage.publish(a_message(broken))
    handler = Handler(ZeroDivisionError("a defect"))
    async with stage.consuming(handler):
        await eventually("it is given back", lambda: stage.subscriber.settled)
        assert stage.subscriber.settled == ["extended by 1"]
        await stage.publish(a_message(good))
        await eventually("the next one is done", lambda: handler.finished == [good.request_id])
        await eventually("it came back", lambda: broken.request_id in handler.finished)
    assert stage.dead == []


async def test_long_work_is_not_delivered_again_while_the_heart_beats(stage: Stage) -> None:
    await stage.publish()
    handler = blocking(2)
    async with stage.consuming(handler):
        beats = int(3 * ACK_DEADLINE_SECONDS / LIMITS.beat_seconds)
        await eventually("the lease outlived", lambda: len(stage.subscriber.history) > beats)
        handler.gate.set()
        await eventually("it is done", lambda: stage.subscriber.settled)
    assert len(handler.started) == 1


async def test_heart_beats_on_when_one_beat_fails(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    extend, failures = stage.subscriber.extend_lease, [BrokerUnavailableError("away")]

    async def extend_after_a_failure(ack_ids: Sequence[str], lease_seconds: int) -> None:
        if failures:
            raise failures.pop()
        await extend(ack_ids, lease_seconds)

    monkeypatch.setattr(stage.subscriber, "extend_lease", extend_after_a_failure)
    await stage.publish()
    handler = blocking(2)
    async with stage.consuming(handler):
        await eventually("beats go on", lambda: len(stage.subscriber.history) > 2)
        handler.gate.set()
        await eventually("it is done", lambda: stage.subscriber.settled)
    assert len(handler.started) == 1


async def test_acknowledgement_that_fails_does_no_harm(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    acknowledge, failures = stage.subscriber.acknowledge, [BrokerUnavailableError("away")]

    async def acknowledge_after_a_failure(ack_ids: Sequence[str]) -> None:
        if failures:
            raise failures.pop()
        await acknowledge(ack_ids)

    monkeypatch.setattr(stage.subscriber, "acknowledge", acknowledge_after_a_failure)
    await stage.publish()
    handler = Handler()
    async with stage.consuming(handler):
        await eventually("it is acknowledged the second time", lambda: stage.subscriber.settled)
    assert len(handler.finished) == 2


async def test_drain_finishes_what_it_can_gives_back_the_rest_and_pulls_no_more(stage: Stage) -> None:
    quick, slow, late = a_request(), a_request(), a_request()
    go = asyncio.Event()

    async def handle(envelope: Envelope) -> None:
        await (go.wait() if envelope.event.request_id == quick.request_id else asyncio.Event().wait())

    await stage.publish(a_message(quick), a_message(slow))
    async with stage.consuming(handle) as consumer:
        await eventually("both are held", lambda: len(stage.subscriber.pulled) == 2)
        draining = asyncio.create_task(consumer.drain())
        await eventually("it has stopped pulling", consumer._stopped.is_set)
        asked = len(stage.subscriber.asked)
        await stage.publish(a_message(late))
        go.set()
        await draining
        assert stage.subscriber.settled == ["acknowledged", "released"]
        assert len(stage.subscriber.asked) == asked
    left = {str(a.data) for a in await stage.broker.pull(READER, 10)}
    assert all(any(r.request_id in text for text in left) for r in (slow, late))
    assert len(left) == 2


async def test_drain_does_not_wait_for_a_pull_when_every_slot_is_taken(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "_LAST_PULL_SECONDS", 3600)
    await stage.publish(*[a_message() for _ in range(LIMITS.slots)])
    handler = blocking(LIMITS.slots)
    async with stage.consuming(handler) as consumer:
        await eventually("all slots are taken", lambda: len(handler.started) == LIMITS.slots)
        await asyncio.wait_for(consumer.drain(), timeout=5)
    assert stage.subscriber.settled == ["released"] * LIMITS.slots


async def test_pulling_goes_on_when_the_broker_was_away(stage: Stage) -> None:
    stage.subscriber.broken_calls = 3
    await stage.publish()
    handler = Handler()
    async with stage.consuming(handler):
        await eventually("the message is done", lambda: handler.finished)


async def test_topology_is_remade_when_the_broker_forgot_it(stage: Stage) -> None:
    remade: list[str] = []

    async def remake() -> None:
        if not remade:
            remade.append("failed")
            raise BrokerUnavailableError("still starting")
        remade.append("made")
        stage.make_topology()

    handler = Handler()
    async with stage.consuming(handler, make_topology=remake):
        stage.broker.forget_everything()
        await eventually("the topology is there again", lambda: "made" in remade)
        await stage.publish()
        await eventually("a message is done", lambda: handler.finished)
    assert remade == ["failed", "made"]


async def test_message_frees_its_slot_and_comes_back_later_when_the_handler_says_so(stage: Stage) -> None:
    await stage.publish()
    handler = Handler(LaterError("after a failed attempt", retry_after=0.4))
    async with stage.consuming(handler):
        await eventually("it is given back", lambda: stage.subscriber.settled)
        assert stage.subscriber.settled == ["extended by 1"]
        await eventually("it came back", lambda: handler.finished, seconds=20)
    assert stage.dead == []


async def test_waiting_message_is_given_back_at_once_when_the_consumer_stops(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.publish()
    handler = Handler(*[TransientError("the engine is away", retry_after=30)] * 5)
    long_drain = replace(LIMITS, drain_seconds=3600)
    async with stage.consuming(handler, limits=long_drain) as consumer:
        await eventually("it waits", lambda: handler.started)
        await asyncio.wait_for(consumer.drain(), timeout=20)
        assert stage.subscriber.settled == ["extended by 1"]


async def test_heart_beats_on_when_a_beat_has_a_defect(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    extend, failures = stage.subscriber.extend_lease, [ZeroDivisionError("a defect")]

    async def extend_after_a_defect(ack_ids: Sequence[str], lease_seconds: int) -> None:
        if failures:
            raise failures.pop()
        await extend(ack_ids, lease_seconds)

    monkeypatch.setattr(stage.subscriber, "extend_lease", extend_after_a_defect)
    await stage.publish()
    handler = blocking(1)
    async with stage.consuming(handler):
        await eventually("beats go on", lambda: len(stage.subscriber.history) > 2)
        handler.gate.set()
        await eventually("it is done", lambda: handler.finished)


async def test_queue_counts_as_empty_only_after_a_pull_that_brought_nothing(stage: Stage) -> None:
    handler = blocking(LIMITS.slots)
    async with stage.consuming(handler) as consumer:
        await eventually("nothing is there", lambda: consumer.found_nothing)
        await stage.publish(*[a_message() for _ in range(LIMITS.slots)])
        await eventually("all slots are taken", lambda: len(handler.started) == LIMITS.slots)
        assert not consumer.found_nothing
        handler.gate.set()
        await eventually("nothing is left", lambda: consumer.found_nothing)
        stage.broker.forget_everything()
        await eventually("nobody knows", lambda: not consumer.found_nothing)
        stage.make_topology()
