"""Chat and background on one engine, over real connections: who gets the slots."""

import asyncio
import json
from typing import Any

import httpx

from tests.support.eventually import eventually
from tests.support.gateway_over_stub import PATIENCE_SECONDS, gateway_over, running
from tests.support.stub_engine import StubEngine, StubTimes

PATH = "/v1/chat/completions"
MODEL = "smollm2-135m-instruct"
BACKGROUND = {"X-Tandem-Class": "background"}


def _asking(words: str) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": words}]}


def _caller() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=PATIENCE_SECONDS, limits=httpx.Limits(max_connections=None))


def _classes(stub: StubEngine) -> list[str]:
    """The class of each request that the engine works on."""
    priorities = [asked.body["priority"] for asked in stub.asked if asked.outcome == "running"]
    return ["background" if priority else "interactive" for priority in priorities]


async def test_chat_finds_a_free_slot_while_background_fills_the_rest_and_the_engine_never_queues() -> None:
    stub = StubEngine(times=StubTimes(token_delay_seconds=0.01))
    most = {"all": 0, "background": 0}

    def look() -> None:
        classes = _classes(stub)
        most["all"] = max(most["all"], len(classes))
        most["background"] = max(most["background"], classes.count("background"))

    async with gateway_over(stub, slots=8) as gateway, _caller() as caller:
        jobs = [
            asyncio.create_task(
                caller.post(gateway.url + PATH, json=_asking(f"job {number}"), headers=BACKGROUND)
            )
            for number in range(120)
        ]
        await eventually(
            "background fills its share", lambda: len(_classes(stub)) == 6, seconds=PATIENCE_SECONDS
        )
        for number in range(10):
            answer = await caller.post(gateway.url + PATH, json=_asking(f"chat {number}"))
            assert answer.status_code == 200
            look()
        while not all(job.done() for job in jobs):
            look()
            await asyncio.sleep(0.005)
        answers = await asyncio.gather(*jobs)
        await gateway.until_all_free(stub)
    assert {answer.status_code for answer in answers} == {200}
    assert most["background"] <= 6
    assert most["all"] <= 8


async def test_background_is_answered_under_chat_that_never_pauses() -> None:
    stub = StubEngine(times=StubTimes(token_delay_seconds=0.005))
    async with gateway_over(stub, slots=4) as gateway, _caller() as caller:
        is_over = False

        async def chat() -> None:
            while not is_over:
                assert (await caller.post(gateway.url + PATH, json=_asking("hi"))).status_code == 200

        chats = [asyncio.create_task(chat()) for _ in range(8)]
        await eventually("chat fills the engine", lambda: running(stub) >= 3, seconds=PATIENCE_SECONDS)
        jobs = [caller.post(gateway.url + PATH, json=_asking("job"), headers=BACKGROUND) for _ in range(8)]
        answers = await asyncio.gather(*jobs)
        is_over = True
        await asyncio.gather(*chats)
        await gateway.until_all_free(stub)
    assert {answer.status_code for answer in answers} == {200}


async def test_a_stream_is_what_the_engine_sends_directly_and_its_tokens_are_counted() -> None:
    stub = StubEngine()
    body = _asking("one two three") | {"stream": True}
    async with gateway_over(stub) as gateway, _caller() as caller:
        for _ in range(2):
            answer = await caller.post(gateway.url + PATH, json=body)
            assert "usage" not in answer.text
            assert '"system_fingerprint":"stub' in answer.text
            assert answer.text.endswith("data: [DONE]\n\n")
        told = await caller.post(gateway.url + PATH, json=body | {"stream_options": {"include_usage": True}})
        events = [event for event in told.text.split("\n\n") if "usage" in event]
        assert len(events) == 1
        usage = json.loads(events[0].removeprefix("data: "))["usage"]
        assert usage["completion_tokens"] == 5
