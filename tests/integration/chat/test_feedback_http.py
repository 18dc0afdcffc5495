"""Feedback over HTTP and Pub/Sub: accepted whether or not the broker is there, shown once when its outcome comes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from httpx_sse import aconnect_sse

from tandem_contracts import topics
from tandem_contracts.envelope import Envelope, decode, encode
from tandem_contracts.feedback import FeedbackEvent, FeedbackOutcome, FeedbackRequestedV1
from tandem_messaging.ports import OutgoingMessage
from tandem_messaging.pubsub import PubSubPublisher, PubSubSubscriber, connect
from tandem_messaging.topology import make_topology
from tests.support.chat_builders import eventually
from tests.support.chat_events import completed, failed
from tests.support.chat_process import PROJECT, ChatProcess, StubInference, WebApp, web_app
from tests.support.emulator import Emulator


class FeedbackService:
    """The other side of the topics, played by the test."""

    def __init__(self, publisher: PubSubPublisher, subscriber: PubSubSubscriber) -> None:
        self._publisher = publisher
        self._subscriber = subscriber

    async def requests(self, count: int) -> list[FeedbackRequestedV1]:
        """Take requests off the topic until there are `count` different ones."""
        taken: dict[str, FeedbackRequestedV1] = {}
        async with asyncio.timeout(30):
            while len(taken) < count:
                for message in await self._subscriber.pull(count - len(taken)):
                    event = decode(message.data, message.attributes).event
                    assert isinstance(event, FeedbackRequestedV1)
                    taken[event.request_id] = event
                    await self._subscriber.acknowledge([message.ack_id])
        return list(taken.values())

    async def publish(self, *outcomes: FeedbackOutcome) -> None:
        await self._publisher.publish(topics.FEEDBACK_RESULTS, [_message(outcome) for outcome in outcomes])


def _message(event: FeedbackEvent) -> OutgoingMessage:
    data, attributes = encode(Envelope.of(event, source="/tandem/feedback"))
    return OutgoingMessage(data, attributes, event.conversation_id)


@asynccontextmanager
async def _feedback_service(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FeedbackService]:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.host)
    async with connect(PROJECT) as pubsub:
        await make_topology(pubsub)
        yield FeedbackService(
            PubSubPublisher(pubsub), PubSubSubscriber(pubsub, topics.FEEDBACK_REQUESTS_WORKER.name)
        )


@pytest.fixture(scope="module")
def chat(
    emulator: Emulator, running_inference: StubInference, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ChatProcess]:
    folder = tmp_path_factory.mktemp("chat-with-feedback")
    running = ChatProcess(
        folder,
        database_url=f"sqlite+aiosqlite:///{folder / 'chat.db'}",
        inference_url=running_inference.url,
        emulator_host=emulator.host,
    )
    running.migrate()
    running.start()
    yield running
    running.stop()


@pytest.fixture
async def service(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FeedbackService]:
    async with _feedback_service(emulator, monkeypatch) as opened:
        yield opened


@pytest.fixture
async def app(chat: ChatProcess, inference: StubInference, service: FeedbackService) -> AsyncIterator[WebApp]:
    async with web_app(chat) as opened:
        yield opened


async def _ask_for_feedback(app: WebApp) -> str:
    conversation_id = await app.new_conversation()
    await app.ask(conversation_id, "judge me")
    response = await app.http.post(f"/v1/conversations/{conversation_id}/feedback")
    assert response.status_code == 202
    assert (response.json()["state"], response.json()["result"]) == ("pending", None)
    location = str(response.headers["Location"])
    assert (await app.http.get(location)).json()["id"] == response.json()["id"]
    return location


async def _states(app: WebApp, location: str, seen: list[str]) -> None:
    async with aconnect_sse(app.http, "GET", f"{location}/events") as source:
        async for event in source.aiter_sse():
            assert event.event == "feedback"
            seen.append(event.json()["state"])


async def _until_state(app: WebApp, location: str, state: str) -> None:
    clock = asyncio.get_running_loop().time
    deadline = clock() + 30
    while (shown := (await app.http.get(location)).json()["state"]) != state:
        assert clock() < deadline, f"waited in vain for {state}: it is still {shown}"
        await asyncio.sleep(0.05)


async def test_request_carries_the_conversation_and_its_outcome_is_shown(
    app: WebApp, service: FeedbackService
) -> None:
    location = await _ask_for_feedback(app)

    (request,) = await service.requests(1)
    assert [(turn.role, turn.content) for turn in request.transcript] == [
        ("user", "judge me"),
        ("assistant", "You said: judge me"),
    ]
    assert location == f"/v1/feedback/{request.request_id}"

    await service.publish(completed(request.request_id, request.conversation_id))
    await _until_state(app, location, "completed")

    shown = (await app.http.get(location)).json()
    assert (shown["result"]["score"], shown["result"]["summary"]) == (4, "Short and friendly.")
    listed = (await app.http.get(f"/v1/conversations/{request.conversation_id}/feedback")).json()
    assert listed == {"items": [shown]}


async def test_every_follower_sees_the_states_to_the_end(app: WebApp, service: FeedbackService) -> None:
    location = await _ask_for_feedback(app)
    seen: list[list[str]] = [[], [], []]
    followers = [asyncio.create_task(_states(app, location, states)) for states in seen]
    await eventually(lambda: all("queued" in states for states in seen), "all to see it queued", seconds=30)
    (request,) = await service.requests(1)

    await service.publish(failed(request.request_id, request.conversation_id))
    await asyncio.wait_for(asyncio.gather(*followers), 30)

    for states in seen:
        assert states in (["pending", "queued", "failed"], ["queued", "failed"])
    shown = (await app.http.get(location)).json()
    assert shown["error"] == {
        "code": "no_judgement",
        "detail": "The model gave no judgement in three attempts.",
    }
    late: list[str] = []
    await asyncio.wait_for(_states(app, location, late), 30)
    assert late == ["failed"]


async def test_outcome_that_comes_three_times_is_shown_once(app: WebApp, service: FeedbackService) -> None:
    location = await _ask_for_feedback(app)
    (request,) = await service.requests(1)
    ids = (request.request_id, request.conversation_id)
    await service.publish(completed(*ids, score=5))
    await _until_state(app, location, "completed")
    first = (await app.http.get(location)).json()

    # What is published after them has arrived, so they have too: one subscription, one consumer.
    await service.publish(completed(*ids, score=1), failed(*ids), completed(*ids, score=2))
    await _settle(app, service)

    assert (await app.http.get(location)).json() == first
    assert first["result"]["score"] == 5


async def test_outcome_of_somebody_elses_request_is_ignored(app: WebApp, service: FeedbackService) -> None:
    await service.publish(completed("foreign-request", "foreign-conversation"))
    await _settle(app, service)

    assert (await app.http.get("/v1/feedback/foreign-request")).status_code == 404
    assert (await app.http.get("/health")).status_code == 200


async def _settle(app: WebApp, service: FeedbackService) -> None:
    """Pass feedback after feedback through chat until it must have met all that was published before."""
    for _ in range(2):
        location = await _ask_for_feedback(app)
        (request,) = await service.requests(1)
        await service.publish(completed(request.request_id, request.conversation_id))
        await _until_state(app, location, "completed")


async def test_feedback_of_a_deleted_conversation_ends_its_stream(
    app: WebApp, service: FeedbackService
) -> None:
    location = await _ask_for_feedback(app)
    (request,) = await service.requests(1)
    seen: list[str] = []
    follower = asyncio.create_task(_states(app, location, seen))
    await eventually(lambda: seen, "the follower to begin")

    await app.http.delete(f"/v1/conversations/{request.conversation_id}")
    await asyncio.wait_for(follower, 30)
    await service.publish(completed(request.request_id, request.conversation_id))
    await _settle(app, service)

    assert (await app.http.get(location)).status_code == 404


@pytest.fixture
def chat_without_broker(
    own_emulator: Emulator, inference: StubInference, tmp_path: Path
) -> Iterator[ChatProcess]:
    """A chat whose emulator has just died."""
    chat = ChatProcess(
        tmp_path,
        database_url=f"sqlite+aiosqlite:///{tmp_path / 'chat.db'}",
        inference_url=inference.url,
        emulator_host=own_emulator.host,
    )
    chat.migrate()
    own_emulator.kill()
    chat.start(TANDEM_CHAT_REANNOUNCE_AFTER_SECONDS="1")
    yield chat
    chat.stop()


async def test_requests_outlive_a_broker_that_is_down_and_one_that_forgets(
    chat_without_broker: ChatProcess, own_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with web_app(chat_without_broker) as app:
        locations = [await _ask_for_feedback(app) for _ in range(3)]
        assert [(await app.http.get(location)).json()["state"] for location in locations] == ["pending"] * 3
        own_emulator.start()
        for location in locations:
            await _until_state(app, location, "queued")

        own_emulator.restart()  # and with it go the requests that were queued there
        async with _feedback_service(own_emulator, monkeypatch) as service:
            requests = await service.requests(3)
            await service.publish(*(completed(r.request_id, r.conversation_id) for r in requests))
            for location in locations:
                await _until_state(app, location, "completed")

    assert {f"/v1/feedback/{request.request_id}" for request in requests} == set(locations)
