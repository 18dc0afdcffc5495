"""Callers that go away, over real connections: the engine has to notice at once, whenever it happens."""

import asyncio
import json
import random
from typing import Any

import httpx
import pytest

from tests.support.eventually import eventually
from tests.support.gateway_over_stub import PATIENCE_SECONDS, gateway_over
from tests.support.stub_engine import StubEngine, StubTimes

PATH = "/v1/chat/completions"
ENDLESS: dict[str, Any] = {
    "model": "smollm2-135m-instruct",
    "messages": [{"role": "user", "content": "on and on"}],
    "ignore_eos": True,
    "max_tokens": 2000,
}


async def _until(condition: Any) -> None:
    await eventually("what the engine was to see", condition, seconds=PATIENCE_SECONDS)


@pytest.mark.parametrize("stream", [True, False])
async def test_the_engine_stops_when_a_caller_leaves_before_the_first_token(stream: bool) -> None:
    stub = StubEngine(times=StubTimes(first_token_delay_seconds=600))
    async with gateway_over(stub) as gateway, httpx.AsyncClient() as caller:
        call = asyncio.create_task(caller.post(gateway.url + PATH, json=ENDLESS | {"stream": stream}))
        await _until(lambda: stub.asked)
        call.cancel()
        await _until(lambda: stub.asked[0].outcome == "disconnected")
        assert stub.asked[0].tokens_sent == 0


@pytest.mark.parametrize("stream", [True, False])
async def test_the_engine_stops_when_a_caller_leaves_in_the_middle(stream: bool) -> None:
    stub = StubEngine(times=StubTimes(token_delay_seconds=0.02))
    async with gateway_over(stub) as gateway, httpx.AsyncClient() as caller:
        call = asyncio.create_task(caller.post(gateway.url + PATH, json=ENDLESS | {"stream": stream}))
        await _until(lambda: stub.asked and stub.asked[0].tokens_sent > 3)
        call.cancel()
        await _until(lambda: stub.asked[0].outcome == "disconnected")
        assert stub.asked[0].tokens_sent < 2000


async def test_tokens_arrive_one_by_one_not_at_the_end() -> None:
    stub = StubEngine(times=StubTimes(token_delay_seconds=0.02))
    async with (
        gateway_over(stub) as gateway,
        httpx.AsyncClient() as caller,
        caller.stream("POST", gateway.url + PATH, json=ENDLESS | {"stream": True}) as answer,
    ):
        lines = answer.aiter_lines()
        seen = [await anext(lines) for _ in range(6)]
        assert any('"content":"on "' in line for line in seen)
        assert stub.asked[0].outcome == "running"


async def _leave_at_random(url: str, number: int, dice: random.Random) -> None:
    """One caller that sends its request over a bare connection and goes away at some moment of it."""
    content = json.dumps(ENDLESS | {"stream": number % 2 == 0, "n": 1 + number % 3 // 2}).encode()
    kind = ("interactive", "background")[number % 4 // 2]
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: gateway\r\nX-Tandem-Class: {kind}\r\nX-Tandem-Tenant: t{number % 5}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(url).port)
    half = len(content) // 2 if number % 10 == 0 else len(content)  # some leave while they still speak
    writer.write(head.encode() + content[:half])
    try:
        async with asyncio.timeout(dice.random() * 1.5):
            while await reader.read(4096):
                pass
    except TimeoutError:
        pass
    if number % 3 == 0:
        writer.transport.abort()  # a reset instead of an orderly end
    writer.close()


async def test_every_slot_is_free_again_when_five_hundred_callers_leave_at_random_moments() -> None:
    stub, dice = (
        StubEngine(times=StubTimes(first_token_delay_seconds=0.2, token_delay_seconds=0.02)),
        random.Random(7),
    )
    async with gateway_over(stub, slots=32) as gateway, httpx.AsyncClient(timeout=PATIENCE_SECONDS) as caller:
        await asyncio.gather(*(_leave_at_random(gateway.url, number, dice) for number in range(500)))
        await gateway.until_all_free(stub)
        assert "completed" not in {asked.outcome for asked in stub.asked}
        answer = await caller.post(gateway.url + PATH, json=ENDLESS | {"ignore_eos": False})
        assert answer.json()["choices"][0]["message"]["content"] == "You said: on and on"


async def test_answers_of_callers_at_once_are_never_mixed_up() -> None:
    stub = StubEngine(times=StubTimes(token_delay_seconds=0.001))
    async with (
        gateway_over(stub) as gateway,
        httpx.AsyncClient(limits=httpx.Limits(max_connections=None)) as caller,
    ):

        async def ask(name: str) -> None:
            body = {"model": ENDLESS["model"], "messages": [{"role": "user", "content": f"I am {name} "}]}
            answer = await caller.post(gateway.url + PATH, json=body, timeout=30)
            assert answer.json()["choices"][0]["message"]["content"] == f"You said: I am {name}"

        await asyncio.gather(*(ask(f"caller-{number}") for number in range(100)))
