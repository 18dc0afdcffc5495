"""Callers that go away, over real connections: the engine has to notice at once, whenever it happens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from tandem_inference.bootstrap import Service, build_admissions
from tandem_inference.engines.fleet import Fleet
from tandem_inference.engines.supervised_engine import EngineState, SupervisedEngine, SupervisionLimits
from tandem_inference.entrypoints.http.app import create_app
from tandem_inference.gateway.engine_http import EngineHttp
from tandem_inference.settings import InferenceSettings
from tests.support.inference_service import declared_engine
from tests.support.ports import free_port
from tests.support.stub_engine import StubEngine, StubTimes

PATH = "/v1/chat/completions"
ENDLESS: dict[str, Any] = {
    "model": "smollm2-135m-instruct",
    "messages": [{"role": "user", "content": "on and on"}],
    "ignore_eos": True,
    "max_tokens": 2000,
}


@asynccontextmanager
async def _served(app: ASGIApp) -> AsyncIterator[int]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    try:
        await _until(lambda: server.started)
        yield port
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def _gateway_over(stub: StubEngine) -> AsyncIterator[str]:
    limits = SupervisionLimits(program=("unused",), start_timeout_seconds=1, stop_grace_seconds=1)
    async with _served(stub.app) as engine_port, aclosing(EngineHttp()) as client:
        engine = SupervisedEngine(declared_engine(max_num_seqs=128), engine_port, limits)
        engine.state = EngineState.READY
        settings = InferenceSettings(_env_file=None)
        admissions = build_admissions(settings, [engine.declared])
        app: FastAPI = create_app(settings, Service(Fleet([engine]), client, admissions))
        async with _served(app) as port:
            yield f"http://127.0.0.1:{port}"


async def _until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for happens behind a socket
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("stream", [True, False])
async def test_the_engine_stops_when_a_caller_leaves_before_the_first_token(stream: bool) -> None:
    stub = StubEngine(times=StubTimes(first_token_delay_seconds=600))
    async with _gateway_over(stub) as url, httpx.AsyncClient() as caller:
        call = asyncio.create_task(caller.post(url + PATH, json=ENDLESS | {"stream": stream}))
        await _until(lambda: stub.asked)
        call.cancel()
        await _until(lambda: stub.asked[0].outcome == "disconnected")
        assert stub.asked[0].tokens_sent == 0


@pytest.mark.parametrize("stream", [True, False])
async def test_the_engine_stops_when_a_caller_leaves_in_the_middle(stream: bool) -> None:
    stub = StubEngine(times=StubTimes(token_delay_seconds=0.02))
    async with _gateway_over(stub) as url, httpx.AsyncClient() as caller:
        call = asyncio.create_task(caller.post(url + PATH, json=ENDLESS | {"stream": stream}))
        await _until(lambda: stub.asked and stub.asked[0].tokens_sent > 3)
        call.cancel()
        await _until(lambda: stub.asked[0].outcome == "disconnected")
        assert stub.asked[0].tokens_sent < 2000


async def test_tokens_arrive_one_by_one_not_at_the_end() -> None:
    stub = StubEngine(times=StubTimes(token_delay_seconds=0.02))
    async with (
        _gateway_over(stub) as url,
        httpx.AsyncClient() as caller,
        caller.stream("POST", url + PATH, json=ENDLESS | {"stream": True}) as answer,
    ):
        lines = answer.aiter_lines()
        seen = [await anext(lines) for _ in range(6)]
        assert any('"content":"on "' in line for line in seen)
        assert stub.asked[0].outcome == "running"


async def test_a_hundred_callers_that_leave_free_the_engine_and_the_gateway_serves_on() -> None:
    stub = StubEngine(times=StubTimes(first_token_delay_seconds=0.1, token_delay_seconds=0.02))
    async with (
        _gateway_over(stub) as url,
        httpx.AsyncClient(limits=httpx.Limits(max_connections=None)) as caller,
    ):
        calls = [
            asyncio.create_task(caller.post(url + PATH, json=ENDLESS | {"stream": i % 2 == 0}))
            for i in range(100)
        ]
        await _until(lambda: len(stub.asked) == 100)
        for position, call in enumerate(calls):
            call.cancel()
            if position % 10 == 0:
                await asyncio.sleep(0.01)
        await _until(lambda: all(asked.outcome == "disconnected" for asked in stub.asked))
        answer = await caller.post(url + PATH, json=ENDLESS | {"ignore_eos": False})
        assert answer.json()["choices"][0]["message"]["content"] == "You said: on and on"


async def test_answers_of_callers_at_once_are_never_mixed_up() -> None:
    stub = StubEngine(times=StubTimes(token_delay_seconds=0.001))
    async with (
        _gateway_over(stub) as url,
        httpx.AsyncClient(limits=httpx.Limits(max_connections=None)) as caller,
    ):

        async def ask(name: str) -> None:
            body = {"model": ENDLESS["model"], "messages": [{"role": "user", "content": f"I am {name} "}]}
            answer = await caller.post(url + PATH, json=body, timeout=30)
            assert answer.json()["choices"][0]["message"]["content"] == f"You said: I am {name}"

        await asyncio.gather(*(ask(f"caller-{number}") for number in range(100)))
