"""What the outbox holds is published if and only if its transaction committed, by whichever relay, at least once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from opentelemetry import trace
from sqlalchemy import Table, func, insert, select

from tandem_contracts.envelope import decode
from tandem_contracts.feedback import FeedbackRequestedV1, Turn
from tandem_messaging import relay as relay_module
from tandem_messaging.database import Database
from tandem_messaging.errors import BrokerUnavailableError, TopologyMissingError
from tandem_messaging.outbox import OutboxRow, enqueue
from tandem_messaging.ports import OutgoingMessage
from tandem_messaging.relay import Relay
from tests.support.eventually import eventually, eventually_awaited
from tests.support.feedback_builders import WHEN, a_request, an_envelope

TOPIC = "requests"


@dataclass
class Broker:
    """A publisher that keeps what it was given and fails as told: before storing, or after."""

    calls: list[tuple[str, Sequence[OutgoingMessage]]] = field(default_factory=list)
    refusals: list[Exception] = field(default_factory=list)
    lost_answers: list[BaseException] = field(default_factory=list)
    down: bool = False

    async def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> None:
        await asyncio.sleep(0)
        if self.down:
            raise BrokerUnavailableError("the broker is away")
        if self.refusals:
            raise self.refusals.pop()
        self.calls.append((topic, messages))
        if self.lost_answers:
            raise self.lost_answers.pop()

    @property
    def request_ids(self) -> list[str]:
        return [
            decode(message.data, message.attributes).event.request_id
            for _, messages in self.calls
            for message in messages
        ]


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def relay(database: Database, outbox: Table, broker: Broker) -> Relay:
    return Relay(database, outbox, broker)


async def put(database: Database, outbox: Table, *requests: FeedbackRequestedV1, topic: str = TOPIC) -> None:
    async with database.write() as session:
        for request in requests:
            await enqueue(session, outbox, topic, an_envelope(request))


async def waiting_rows(database: Database, outbox: Table) -> int:
    async with database.read() as session:
        return (await session.execute(select(func.count()).select_from(outbox))).scalar_one()


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[None]:
    task = asyncio.create_task(relay.run())
    try:
        yield
        assert not task.done(), "the relay has ended"
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_nothing_is_published_when_the_transaction_rolls_back(
    database: Database, outbox: Table, relay: Relay, broker: Broker
) -> None:
    async def enqueue_then_fail() -> None:
        async with database.write() as session:
            await enqueue(session, outbox, TOPIC, an_envelope())
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await enqueue_then_fail()
    assert await relay.publish_due() == 0
    assert broker.calls == []


async def test_event_is_published_whole_and_forgotten_when_committed(
    database: Database, outbox: Table, relay: Relay, broker: Broker
) -> None:
    request = a_request()
    await put(database, outbox, request)
    assert await relay.publish_due() == 1
    ((topic, (message,)),) = broker.calls
    assert (topic, message.ordering_key) == (TOPIC, request.conversation_id)
    assert decode(message.data, message.attributes).event == request
    assert await waiting_rows(database, outbox) == 0
    assert await relay.publish_due() == 0


async def test_event_is_not_published_before_the_commit(
    database: Database, outbox: Table, relay: Relay, broker: Broker
) -> None:
    async with database.write() as session:
        await enqueue(session, outbox, TOPIC, an_envelope())
        looking = asyncio.create_task(relay.publish_due())  # SQLite lets it wait, Postgres shows it nothing
        await asyncio.wait({looking}, timeout=0.2)
        assert broker.calls == []
    assert await looking + await relay.publish_due() == 1


async def test_order_is_kept_within_a_topic(
    database: Database, outbox: Table, relay: Relay, broker: Broker
) -> None:
    requests = [a_request() for _ in range(30)]
    for number, request in enumerate(requests):
        await put(database, outbox, request, topic=("even", "odd")[number % 2])
    await relay.publish_due()
    for start, topic in enumerate(("even", "odd")):
        published = [decode(m.data, m.attributes).event for t, ms in broker.calls if t == topic for m in ms]
        assert published == requests[start::2]


async def test_two_relays_share_the_rows_and_publish_none_twice(
    database: Database, outbox: Table, broker: Broker
) -> None:
    requests = [a_request() for _ in range(250)]
    await put(database, outbox, *requests)
    relays = [Relay(database, outbox, broker) for _ in range(2)]

    async def publish_all(relay: Relay) -> None:
        while await relay.publish_due():
            pass

    await asyncio.gather(*[publish_all(relay) for relay in relays])
    assert sorted(broker.request_ids) == sorted(request.request_id for request in requests)
    assert await waiting_rows(database, outbox) == 0


async def test_relay_leaves_rows_alone_that_another_one_is_publishing(
    database: Database, outbox: Table, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(database, outbox, a_request())
    publishing, go_on = asyncio.Event(), asyncio.Event()
    slow, other = Relay(database, outbox, broker), Relay(database, outbox, broker)
    publish = slow._publish

    async def publish_when_told(topic: str, rows: Sequence[OutboxRow]) -> None:
        publishing.set()
        await go_on.wait()
        await publish(topic, rows)

    monkeypatch.setattr(slow, "_publish", publish_when_told)
    working = asyncio.create_task(slow.publish_due())
    await publishing.wait()
    assert await other.publish_due() == 0
    go_on.set()
    assert await working == 1
    assert len(broker.request_ids) == 1


async def test_rows_stay_while_the_broker_is_down_and_leave_when_it_is_back(
    database: Database, outbox: Table, relay: Relay, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "_FIRST_BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(relay_module, "_MAX_BACKOFF_SECONDS", 0.05)
    requests = [a_request() for _ in range(3)]
    broker.down = True
    await put(database, outbox, *requests)
    with pytest.raises(BrokerUnavailableError):
        await relay.publish_due()
    assert await waiting_rows(database, outbox) == 3
    async with running(relay):
        broker.down = False
        await eventually("all are published", lambda: len(broker.request_ids) == 3)
    assert broker.request_ids == [request.request_id for request in requests]


async def test_event_is_published_again_when_the_answer_was_lost(
    database: Database, outbox: Table, relay: Relay, broker: Broker
) -> None:
    request = a_request()
    await put(database, outbox, request)
    broker.lost_answers = [BrokerUnavailableError("no answer in time")]
    with pytest.raises(BrokerUnavailableError):
        await relay.publish_due()
    await relay.publish_due()
    assert broker.request_ids == [request.request_id] * 2
    assert await waiting_rows(database, outbox) == 0


async def test_event_is_published_again_by_another_relay_when_one_crashed_before_it_deleted_the_row(
    database: Database, outbox: Table, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: object, **__: object) -> None:
        raise SystemError("killed")

    request = a_request()
    await put(database, outbox, request)
    with monkeypatch.context() as crashing:
        crashing.setattr(relay_module, "remove_published", crash)
        crashing.setattr(relay_module, "give_back", crash)
        with pytest.raises(SystemError):
            await Relay(database, outbox, broker).publish_due()
    other = Relay(database, outbox, broker)
    assert await other.publish_due() == 0, "the dead relay's lease should still hold"
    async with database.write() as session:
        await session.execute(outbox.update().values(leased_until=WHEN))
    assert await other.publish_due() == 1
    assert broker.request_ids == [request.request_id] * 2


async def test_late_relay_leaves_the_row_to_the_one_that_took_it_over(
    database: Database, outbox: Table, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(database, outbox, a_request())
    late = Relay(database, outbox, broker)
    forget = late._forget

    async def forget_after_a_takeover(rows: Sequence[OutboxRow]) -> None:
        async with database.write() as session:
            await session.execute(outbox.update().values(leased_by="another relay"))
        await forget(rows)

    monkeypatch.setattr(late, "_forget", forget_after_a_takeover)
    await late.publish_due()
    assert await waiting_rows(database, outbox) == 1


async def test_large_events_are_split_over_requests_that_pubsub_takes(
    database: Database, outbox: Table, relay: Relay, broker: Broker
) -> None:
    turns = tuple(Turn(role="user", content="x" * 200_000) for _ in range(4))
    requests = [a_request(transcript=turns) for _ in range(12)]
    await put(database, outbox, *requests)
    await relay.publish_due()
    sizes = [sum(len(message.data) for message in messages) for _, messages in broker.calls]
    assert max(sizes) < 10_000_000
    assert len(sizes) == 2
    assert broker.request_ids == [request.request_id for request in requests]


async def test_on_published_commits_together_with_the_deletion(
    database: Database, outbox: Table, broker: Broker, notes: Table
) -> None:
    defects = [RuntimeError("a defect")]

    async def note(session: object, rows: Sequence[OutboxRow]) -> None:
        await session.execute(insert(notes).values(at=WHEN))  # type: ignore[attr-defined]  # an AsyncSession
        if defects:
            raise defects.pop()

    async def noted() -> int:
        async with database.read() as session:
            return (await session.execute(select(func.count()).select_from(notes))).scalar_one()

    relay = Relay(database, outbox, broker, on_published=note)
    await put(database, outbox, a_request())
    with pytest.raises(RuntimeError, match="a defect"):
        await relay.publish_due()
    assert (await waiting_rows(database, outbox), await noted()) == (1, 0)
    await relay.publish_due()
    assert (await waiting_rows(database, outbox), await noted()) == (0, 1)


async def test_missing_topic_is_made_and_the_event_published_when_allowed(
    database: Database, outbox: Table, broker: Broker
) -> None:
    made = []

    async def make() -> None:
        made.append(TOPIC)

    await put(database, outbox, a_request())
    broker.refusals = [TopologyMissingError("no topic")] * 2
    with pytest.raises(TopologyMissingError):
        await Relay(database, outbox, broker).publish_due()
    await Relay(database, outbox, broker, make_topology=make).publish_due()
    assert (len(broker.calls), made) == (1, [TOPIC])


async def test_committed_event_does_not_wait_for_a_poll_when_the_relay_is_woken(
    database: Database, outbox: Table, relay: Relay, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "_IDLE_POLL_SECONDS", 3600)
    async with running(relay):
        await put(database, outbox, a_request())
        relay.wake()
        await eventually("the first event", lambda: len(broker.request_ids) == 1)
        await put(database, outbox, a_request())
        relay.wake()
        await eventually("the second event", lambda: len(broker.request_ids) == 2)


async def test_event_left_by_another_process_is_found_by_polling(
    database: Database, outbox: Table, relay: Relay, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "_IDLE_POLL_SECONDS", 0.05)
    async with running(relay):
        await put(database, outbox, a_request())
        await eventually("the event", lambda: broker.request_ids)

        async def gone() -> bool:
            return await waiting_rows(database, outbox) == 0

        await eventually_awaited("its row is gone", gone)


async def test_rows_are_free_at_once_when_the_relay_is_stopped_in_the_middle(
    database: Database, outbox: Table, broker: Broker
) -> None:
    await put(database, outbox, a_request())
    broker.lost_answers = [asyncio.CancelledError()]
    with pytest.raises(asyncio.CancelledError):
        await Relay(database, outbox, broker).publish_due()
    assert await Relay(database, outbox, broker).publish_due() == 1


async def test_flush_leaves_the_rows_when_the_broker_is_down(
    database: Database, outbox: Table, relay: Relay, broker: Broker
) -> None:
    await put(database, outbox, a_request())
    broker.down = True
    await relay.flush()
    assert await waiting_rows(database, outbox) == 1
    broker.down = False
    await relay.flush()
    assert len(broker.request_ids) == 1


async def test_message_carries_the_trace_in_which_it_was_written(
    database: Database, outbox: Table, relay: Relay, broker: Broker
) -> None:
    trace_id = 0x1234567890ABCDEF1234567890ABCDEF
    written_in = trace.SpanContext(trace_id, 0x1234, is_remote=False, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(written_in)):
        await put(database, outbox, a_request())
    await relay.publish_due()
    ((_, (message,)),) = broker.calls
    assert message.attributes["traceparent"].split("-")[1] == f"{trace_id:032x}"
