"""The limit on bodies holds however they come and whatever the app does with them."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse
from starlette.requests import Request

from tandem_chat.entrypoints.http.body_limit import BodyLimit
from tandem_telemetry import instrument_app

LIMIT = 100


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()

    @app.post("/read")
    async def read(body: list[int]) -> int:
        return len(body)

    @app.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    @app.get("/stream", response_class=EventSourceResponse)
    async def stream() -> AsyncIterator[str]:
        yield "something"

    app.add_middleware(BodyLimit, max_bytes=LIMIT)
    instrument_app(app)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://chat") as client:
        yield client


async def _chunks(*sizes: int) -> AsyncIterator[bytes]:
    for size in sizes:
        yield b" " * size


@pytest.mark.parametrize("path", ["/read", "/raw"])
@pytest.mark.parametrize("sizes", [(LIMIT + 1,), (60, 60), (10,) * 50])
async def test_chunks_over_the_limit_are_refused(
    http: httpx.AsyncClient, path: str, sizes: tuple[int, ...]
) -> None:
    response = await http.post(path, content=_chunks(*sizes), headers={"Content-Type": "application/json"})

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


async def test_declared_length_over_the_limit_is_refused_unread(http: httpx.AsyncClient) -> None:
    response = await http.post("/raw", content=b"x" * (LIMIT + 1))

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


async def test_body_of_just_the_limit_passes(http: httpx.AsyncClient) -> None:
    assert (await http.post("/raw", content=_chunks(LIMIT - 1, 1))).json() == LIMIT


async def test_stream_that_reads_no_body_is_refused_or_answered_but_never_broken(
    http: httpx.AsyncClient,
) -> None:
    response = await http.request("GET", "/stream", content=_chunks(LIMIT, LIMIT, LIMIT))

    assert response.status_code in (200, 413)
