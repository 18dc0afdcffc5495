"""What waiting for an engine looks like to callers: who goes first, what the refusals say, and by when an answer is wanted."""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tandem_inference.engines.declaration import Engine
from tandem_inference.gateway.admission.ticket import Ticket
from tandem_inference.gateway.request_class import RequestClass
from tandem_inference.settings import InferenceSettings
from tests.support.eventually import eventually
from tests.support.inference_service import declared_engine
from tests.unit.inference.conftest import Gateway

CHAT: dict[str, Any] = {"model": "alpha", "messages": [{"role": "user", "content": "hi"}]}
PATH = "/v1/chat/completions"
BACKGROUND = {"X-Tandem-Class": "background"}


@pytest.fixture
def settings() -> InferenceSettings:
    return InferenceSettings(
        _env_file=None,
        interactive_queue_length=3,
        background_queue_length=2,
        interactive_longest_wait_seconds=20,
        background_longest_wait_seconds=0.2,
    )


@pytest.fixture
def declared() -> list[Engine]:
    return [declared_engine(model="alpha", max_num_seqs=4)]


@asynccontextmanager
async def _full(gateway: Gateway) -> AsyncIterator[list[Ticket]]:
    """All slots in use while the context is open, or until the tickets leave."""
    tickets = [Ticket(RequestClass.INTERACTIVE) for _ in range(4)]
    for ticket in tickets:
        await gateway.admission.enter(ticket, 1)
    try:
        yield tickets
    finally:
        for ticket in tickets:
            gateway.admission.leave(ticket)


def _waiting(gateway: Gateway) -> int:
    snapshot = gateway.admission.snapshot()
    return snapshot.interactive.waiting + snapshot.background.waiting


def _is_all_free(gateway: Gateway) -> bool:
    return gateway.admission.snapshot().free == 4 and _waiting(gateway) == 0


async def test_a_full_queue_is_429_with_a_time_to_come_back(gateway: Gateway) -> None:
    async with _full(gateway):
        calls = [
            asyncio.create_task(gateway.client.post(PATH, json=CHAT, headers=BACKGROUND)) for _ in range(3)
        ]
        answers = await asyncio.gather(*calls)
    assert sorted(answer.status_code for answer in answers) == [429, 503, 503]
    (full,) = [answer for answer in answers if answer.status_code == 429]
    assert full.json()["error"]["code"] == "queue_full"
    assert int(full.headers["retry-after"]) >= 1
    assert gateway.asked == []
    assert _is_all_free(gateway)


async def test_waiting_too_long_is_503_with_a_time_to_come_back(gateway: Gateway) -> None:
    async with _full(gateway):
        answer = await gateway.client.post(PATH, json=CHAT, headers=BACKGROUND)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "queue_timeout")
    assert int(answer.headers["retry-after"]) >= 1
    assert _is_all_free(gateway)


async def test_a_request_that_waits_is_answered_once_a_slot_is_free(gateway: Gateway) -> None:
    async with _full(gateway) as tickets:
        call = asyncio.create_task(gateway.client.post(PATH, json=CHAT))
        await eventually("the request waits", lambda: _waiting(gateway) == 1)
        gateway.admission.leave(tickets[0])
        assert (await call).status_code == 200
    assert _is_all_free(gateway)


async def test_tokenizing_and_listing_wait_for_nobody(gateway: Gateway) -> None:
    async with _full(gateway):
        assert (await gateway.client.post("/tokenize", json=CHAT)).status_code == 200
        assert (await gateway.client.get("/v1/models")).status_code == 200


@pytest.mark.parametrize(
    ("path", "fields", "slots"),
    [
        (PATH, {}, 1),
        (PATH, {"n": 2}, 2),
        (PATH, {"n": "many"}, 1),
        (PATH, {"n": True}, 1),
        ("/v1/completions", {"prompt": ["a", "b"]}, 2),
        ("/v1/completions", {"prompt": [1, 2, 3]}, 1),
        ("/v1/completions", {"prompt": [[1], [2]], "n": 10**30}, 3),
        ("/v1/completions", {"prompt": []}, 1),
        ("/v1/embeddings", {"input": ["a", "b"]}, 2),
    ],
)
async def test_a_request_takes_a_slot_for_each_sequence_that_it_makes(
    gateway: Gateway, path: str, fields: dict[str, Any], slots: int
) -> None:
    taken = []

    def answer(request: httpx.Request) -> httpx.Response:
        taken.append(gateway.admission.snapshot().interactive.running)
        return httpx.Response(200, json={})

    gateway.answer = answer
    await gateway.client.post(path, json=CHAT | fields)
    assert taken == [slots]
    assert _is_all_free(gateway)


@pytest.mark.parametrize("deadline", ["0", "-3", "-0.5", "0.0001"])
async def test_a_deadline_that_has_passed_is_504_and_the_engine_is_not_asked(
    gateway: Gateway, deadline: str
) -> None:
    answer = await gateway.client.post(PATH, json=CHAT, headers={"X-Tandem-Deadline": deadline})
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
    assert "retry-after" in answer.headers
    assert gateway.asked == []


async def test_a_deadline_that_passes_while_the_request_waits_is_504(gateway: Gateway) -> None:
    async with _full(gateway):
        answer = await gateway.client.post(PATH, json=CHAT, headers={"X-Tandem-Deadline": "0.05"})
    assert answer.json()["error"]["code"] == "deadline_exceeded"
    assert gateway.asked == []
    assert _is_all_free(gateway)


async def test_a_deadline_that_no_recent_answer_would_have_met_is_504(gateway: Gateway) -> None:
    gateway.answer = lambda _: httpx.Response(200, content=_slowly(), headers={"content-type": "text/plain"})
    for _ in range(16):
        await gateway.client.post(PATH, json=CHAT)
    asked = len(gateway.asked)
    refused = await gateway.client.post(PATH, json=CHAT, headers={"X-Tandem-Deadline": "0.02"})
    assert refused.json()["error"]["code"] == "deadline_exceeded"
    assert len(gateway.asked) == asked
    served = await gateway.client.post(PATH, json=CHAT, headers={"X-Tandem-Deadline": "60"})
    assert served.status_code == 200


async def _slowly() -> AsyncIterator[bytes]:
    await asyncio.sleep(0.03)
    yield b"done"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Tandem-Deadline", "soon"),
        ("X-Tandem-Deadline", "1e3"),
        ("X-Tandem-Deadline", "inf"),
        ("X-Tandem-Deadline", ""),
        ("X-Tandem-Deadline", "2026-11-21T10:00:00Z"),
        ("X-Tandem-Tenant", ""),
        ("X-Tandem-Tenant", "a b"),
        ("X-Tandem-Tenant", "x" * 129),
        ("X-Tandem-Tenant", "é"),
        ("X-Tandem-Class", ""),
    ],
)
async def test_a_header_that_cannot_be_read_is_400_and_named(
    gateway: Gateway, header: str, value: str
) -> None:
    answer = await gateway.client.post(PATH, json=CHAT, headers=[(header.encode(), value.encode())])
    assert answer.status_code == 400
    assert header in answer.json()["error"]["message"]
    assert gateway.asked == []


async def test_a_tenants_first_request_goes_before_another_tenants_second(gateway: Gateway) -> None:
    order: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        order.append(json.loads(request.content)["user"])
        return httpx.Response(200, json={})

    gateway.answer = answer
    calls: list[asyncio.Task[httpx.Response]] = []
    async with _full(gateway) as tickets:
        for tenant, user in [("acme", "a1"), ("acme", "a2"), ("globex", "g1")]:
            request = gateway.client.post(
                PATH, json=CHAT | {"user": user}, headers={"X-Tandem-Tenant": tenant}
            )
            calls.append(asyncio.create_task(request))
            await eventually("it waits", lambda: _waiting(gateway) == len(calls))
        gateway.admission.leave(tickets[0])
        await asyncio.gather(*calls)
    assert order == ["a1", "g1", "a2"]


class TestWithTwoTokens:
    SERVICE, FEEDBACK = "a-token-of-the-service", "a-token-of-feedback"

    @pytest.fixture
    def settings(self) -> InferenceSettings:
        return InferenceSettings(_env_file=None, service_token=self.SERVICE, feedback_token=self.FEEDBACK)

    @pytest.mark.parametrize(
        ("token", "headers", "priority"),
        [
            (SERVICE, {}, 0),
            (FEEDBACK, {}, 10),
            (FEEDBACK, {"X-Tandem-Class": "interactive"}, 0),
            (SERVICE, BACKGROUND, 10),
        ],
    )
    async def test_feedbacks_token_makes_a_request_background_unless_it_says_otherwise(
        self, gateway: Gateway, token: str, headers: dict[str, str], priority: int
    ) -> None:
        answer = await gateway.client.post(
            PATH, json=CHAT, headers=headers | {"Authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 200
        assert gateway.asked_bodies[0]["priority"] == priority

    async def test_another_token_is_refused(self, gateway: Gateway) -> None:
        answer = await gateway.client.post(PATH, json=CHAT, headers={"Authorization": "Bearer wrong"})
        assert answer.status_code == 401


async def test_feedbacks_token_alone_locks_nobody_out(gateway: Gateway) -> None:
    answer = await gateway.client.post(PATH, json=CHAT, headers={"Authorization": "Bearer anything"})
    assert answer.status_code == 200


async def test_one_line_tells_what_a_request_took_and_none_of_its_text(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    usage = {"prompt_tokens": 5, "total_tokens": 8, "completion_tokens": 3}
    content = json.dumps({"choices": [], "usage": usage}, separators=(",", ":"))
    gateway.answer = lambda _: httpx.Response(200, text=content)
    caplog.set_level(logging.INFO)
    secret = {"role": "user", "content": "the secret"}
    await gateway.client.post(
        PATH, json=CHAT | {"messages": [secret]}, headers=BACKGROUND | {"X-Tandem-Tenant": "acme"}
    )
    (line,) = [record for record in caplog.records if record.message == "request.done"]
    told = vars(line)
    assert (told["class"], told["engine"], told["model"], told["tenant"]) == (
        "background",
        "stub",
        "alpha",
        "acme",
    )
    assert (told["status"], told["outcome"], told["prompt_tokens"], told["completion_tokens"]) == (
        200,
        "completed",
        5,
        3,
    )
    assert told["seconds"] >= told["seconds_to_first_byte"] >= told["seconds_waiting"] >= 0
    assert "the secret" not in str(told)


def _malformed(dice: random.Random) -> bytes:
    """A request that is no good: cut, garbled, or with values that no field takes."""
    values: list[Any] = [None, -1, 1e400, "x", [], {}, [[[]]], {"a": {"b": 1}}, 10**30, "\ud800", True, ""]
    fields = [
        "model",
        "messages",
        "prompt",
        "n",
        "stream",
        "stream_options",
        "priority",
        "input",
        "max_tokens",
    ]
    body = {dice.choice(fields): dice.choice(values) for _ in range(dice.randrange(6))}
    if dice.random() < 0.5:
        body["model"] = CHAT["model"]
    content = json.dumps(body).encode()
    if dice.random() < 0.3:
        return content[: dice.randrange(len(content))]
    if dice.random() < 0.2:
        return dice.randbytes(40)
    return content


async def test_a_thousand_malformed_requests_make_no_error_of_ours_and_take_no_slot(gateway: Gateway) -> None:
    gateway.answer = lambda _: httpx.Response(400, json={"error": {}})  # the engine judges the fields
    dice = random.Random(11)
    headers = [
        {},
        BACKGROUND,
        {"X-Tandem-Class": "?"},
        {"X-Tandem-Deadline": "never"},
        {"X-Tandem-Tenant": "a b"},
    ]
    paths = [
        PATH,
        "/v1/completions",
        "/v1/embeddings",
        "/tokenize",
        "/engines/stub" + PATH,
        "/engines/x" + PATH,
    ]
    for _ in range(1000):
        answer = await gateway.client.post(
            dice.choice(paths), content=_malformed(dice), headers=dice.choice(headers)
        )
        assert 400 <= answer.status_code < 500
    assert _is_all_free(gateway)
