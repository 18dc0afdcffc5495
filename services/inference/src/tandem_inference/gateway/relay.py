"""Relays one request to its engine and the answer's bytes back, untouched and without looking into tokens.

A caller that leaves, at any moment, closes the engine's connection at once, so that the engine stops generating. An engine
that dies before the first byte is answered with 503; after it, a stream ends with an error event.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import httpx
from fastapi import Response
from starlette.types import Receive, Scope, Send

from tandem_inference import metrics
from tandem_inference.engines.supervised_engine import SupervisedEngine
from tandem_inference.gateway.openai_errors import error_event, error_response
from tandem_inference.gateway.request_class import RequestClass
from tandem_telemetry import names

logger = logging.getLogger(__name__)

_PASSED_BACK = {b"content-type", b"retry-after", b"x-request-id"}
# What vLLM's HTTP process answers while its engine has died and it has not yet: no fault of the request.
_DYING = b"EngineCore encountered an issue"


class RelayedAnswer(Response):
    """The engine's answer to `request`, as a response of this service."""

    def __init__(
        self, client: httpx.AsyncClient, request: httpx.Request, engine: SupervisedEngine, who: RequestClass
    ) -> None:
        super().__init__()
        self._client = client
        self._request = request
        self._engine = engine
        self._class = who
        self._status = 499  # the caller left before anything was sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        relaying = asyncio.create_task(self._relay(scope, receive, send))
        leaving = asyncio.create_task(_until_disconnect(receive))
        try:
            await asyncio.wait({relaying, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not relaying.done():
                metrics.CLIENT_DISCONNECTS.add(1, {names.REQUEST_CLASS: self._class})
                logger.info("request.client_left", extra={"engine": self._engine.declared.name})
        finally:
            relaying.cancel()  # closes the engine's connection, which makes the engine abort the request
            leaving.cancel()
            await asyncio.gather(relaying, leaving, return_exceptions=True)
            metrics.REQUESTS.add(
                1, {names.REQUEST_CLASS: self._class, "http.response.status_code": self._status}
            )
        if not relaying.cancelled():
            relaying.result()

    async def _relay(self, scope: Scope, receive: Receive, send: Send) -> None:
        arrived = time.perf_counter()
        try:
            async with aclosing(await self._client.send(self._request, stream=True)) as answer:
                chunks = answer.aiter_raw()
                first = await _first_bytes(answer, chunks)
                seconds = time.perf_counter() - arrived
                metrics.TIME_TO_FIRST_BYTE.record(seconds, {names.REQUEST_CLASS: self._class})
                self._status = answer.status_code
                await send(_start(answer))
                await _send_body(send, first, self._or_error_event(chunks))
        except httpx.TransportError:  # before the first byte: what happens later is told inside the stream
            response = error_response(self._engine.not_ready())
            self._status = response.status_code
            await response(scope, receive, send)

    async def _or_error_event(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield `chunks`; end them with an error event, on a line of its own, should the engine die."""
        try:
            async for chunk in chunks:
                yield chunk
        except httpx.TransportError:
            error = self._engine.not_ready()
            logger.warning("request.cut_off", extra={"engine": self._engine.declared.name})
            yield b"\n\n" + error_event(error)


async def _first_bytes(answer: httpx.Response, chunks: AsyncIterator[bytes]) -> bytes:
    """The first chunk of a stream, or the whole of any other answer; TransportError when the engine is dying."""
    first = await anext(chunks, b"")
    if not _is_stream(answer):
        first += b"".join([chunk async for chunk in chunks])
    if answer.status_code == 500 and _DYING in first:
        raise httpx.RemoteProtocolError("the engine has died", request=answer.request)
    return first


def _start(answer: httpx.Response) -> dict[str, object]:
    headers = [(name.lower(), value) for name, value in answer.headers.raw if name.lower() in _PASSED_BACK]
    if _is_stream(answer):
        headers += [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
    return {"type": "http.response.start", "status": answer.status_code, "headers": headers}


async def _send_body(send: Send, first: bytes, rest: AsyncIterator[bytes]) -> None:
    await send({"type": "http.response.body", "body": first, "more_body": True})
    async for chunk in rest:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _is_stream(answer: httpx.Response) -> bool:
    return str(answer.headers.get("content-type", "")).startswith("text/event-stream")


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
