"""A broker that dies, forgets everything or stops answering costs no event: outbox, relay and consumer carry on by themselves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Table

from tandem_contracts import topics
from tandem_contracts.envelope import Envelope
from tandem_contracts.feedback import FeedbackRequestedV1
from tandem_messaging import relay as relay_module
from tandem_messaging.consumer import Consumer, ConsumerLimits, event_of
from tandem_messaging.database import Database
from tandem_messaging.outbox import enqueue
from tandem_messaging.ports import ReceivedMessage
from tandem_messaging.pubsub import PubSub, PubSubPublisher, PubSubSubscriber, connect
from tandem_messaging.relay import Relay
from tandem_messaging.topology import make_topology
from tests.support.emulator import Emulator
from tests.support.eventually import eventually
from tests.support.feedback_builders import a_request, an_envelope


@pytest.fixture
async def pubsub(own_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PubSub]:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", own_emulator.host)
    async with connect(f"outage-{uuid4().hex[:8]}") as connected:
        yield connected


class Station:
    """A relay and a consumer of the topic of requests, as a service runs them, and what arrived."""

    def __init__(self, pubsub: PubSub, database: Database, outbox: Table) -> None:
        self._database, self._outbox = database, outbox
        self.arrived: list[str] = []

        async def remake() -> None:
            await make_topology(pubsub)

        self.relay = Relay(database, outbox, PubSubPublisher(pubsub), make_topology=remake)
        self.consumer = Consumer(
            PubSubSubscriber(pubsub, topics.FEEDBACK_REQUESTS_WORKER.name),
            self._note,
            read=event_of,
            dead_letter=self._bury,
            limits=ConsumerLimits(drain_seconds=0),
            make_topology=remake,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(loop()) for loop in (self.relay.run, self.consumer.run)]
        try:
            yield
            assert not any(task.done() for task in tasks), "a loop has ended"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def send(self) -> FeedbackRequestedV1:
        request = a_request()
        async with self._database.write() as session:
            await enqueue(session, self._outbox, topics.FEEDBACK_REQUESTS, an_envelope(request))
        self.relay.wake()
        return request

    def got(self, request: FeedbackRequestedV1) -> Callable[[], bool]:
        return lambda: request.request_id in self.arrived

    async def _note(self, envelope: Envelope) -> None:
        self.arrived.append(envelope.event.request_id)

    async def _bury(self, message: ReceivedMessage, error: Exception) -> None:
        pytest.fail(f"dead letter: {error}")


@pytest.fixture
async def station(
    pubsub: PubSub, tmp_path: Path, outbox: Table, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Station]:
    monkeypatch.setattr(relay_module, "_MAX_BACKOFF_SECONDS", 0.5)
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/station.db")
    async with database.write() as session:
        await (await session.connection()).run_sync(outbox.metadata.create_all)
    yield Station(pubsub, database, outbox)
    await database.close()


async def test_events_flow_again_when_the_broker_was_killed_and_came_back_empty(
    station: Station, own_emulator: Emulator
) -> None:
    async with station.running():
        first = await station.send()
        await eventually("the first arrives", station.got(first), seconds=20)
        await asyncio.to_thread(own_emulator.kill)
        during = await station.send()
        await asyncio.to_thread(own_emulator.start)
        after = await station.send()
        await eventually("the one sent meanwhile arrives", station.got(during), seconds=20)
        await eventually("the one sent afterwards arrives", station.got(after), seconds=20)


async def test_events_flow_again_when_the_broker_did_not_answer_for_a_while(
    station: Station,
    own_emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("tandem_messaging.pubsub.CALL_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr("tandem_messaging.pubsub._PULL_TIMEOUT_SECONDS", 0.5)
    async with station.running():
        first = await station.send()
        await eventually("the first arrives", station.got(first), seconds=20)
        own_emulator.pause()
        during = await station.send()
        await eventually("a publish has failed", lambda: "outbox.publish_failed" in caplog.text, seconds=20)
        own_emulator.resume()
        await eventually("the one sent meanwhile arrives", station.got(during), seconds=20)
