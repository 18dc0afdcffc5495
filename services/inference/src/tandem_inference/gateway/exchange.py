"""One request sent to one engine, and the answer's bytes passed on as they come."""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import httpx
from starlette.types import Send

from tandem_inference.engines.supervised_engine import SupervisedEngine
from tandem_inference.gateway.asked import Asked
from tandem_inference.gateway.openai_errors import error_event
from tandem_inference.gateway.recent_answers import RecentAnswers
from tandem_inference.gateway.request_record import RequestRecord
from tandem_inference.gateway.stream_usage import Fingerprints, StreamUsage
from tandem_inference.gateway.usage import Wish, usage_in

logger = logging.getLogger(__name__)

_PASSED_BACK = {b"content-type", b"retry-after", b"x-request-id"}
# What vLLM's HTTP process answers while its engine has died and it has not yet: no fault of the request.
_DYING = b"EngineCore encountered an issue"


class Exchange:
    """Sends requests to engines with one client; remembers what it learns about them."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.recent = RecentAnswers()
        self._client = client
        self._fingerprints = Fingerprints()

    async def run(self, asked: Asked, engine: SupervisedEngine, send: Send, record: RequestRecord) -> None:
        """Pass the answer of `engine` to `send`. Cancelling closes the connection, which makes the engine stop.

        Raises:
            httpx.TransportError: the engine died before anything was sent to the caller.
        """
        began = time.monotonic()
        request = self._client.build_request(
            "POST", engine.base_url + asked.path, content=asked.content, headers=asked.headers
        )
        async with aclosing(await self._client.send(request, stream=True)) as answer:
            if _is_stream(answer):
                await self._pass_stream(asked, answer, engine, send, record)
            else:
                await self._pass_whole(answer, send, record)
        if record.outcome == "completed":
            self.recent.add(engine.declared.name, asked.path, time.monotonic() - began)

    async def is_healthy(self, engine: SupervisedEngine) -> bool:
        """Whether `engine` answers its health check."""
        try:
            return (await self._client.get(engine.base_url + "/health")).is_success
        except httpx.TransportError:
            return False

    async def _pass_whole(self, answer: httpx.Response, send: Send, record: RequestRecord) -> None:
        content = b"".join([chunk async for chunk in answer.aiter_raw()])
        if answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR and _DYING in content:
            raise httpx.RemoteProtocolError("the engine has died", request=answer.request)
        record.first_byte(answer.status_code)
        record.usage = usage_in(content)
        await send(_start(answer, len(content)))
        await send({"type": "http.response.body", "body": content})
        record.outcome = "completed" if answer.is_success else "rejected"

    async def _pass_stream(
        self,
        asked: Asked,
        answer: httpx.Response,
        engine: SupervisedEngine,
        send: Send,
        record: RequestRecord,
    ) -> None:
        stream = StreamUsage(
            asked.wish or Wish.ALWAYS,
            self._fingerprints,
            engine.declared.name,
            prompts=asked.prompts,
            answers=asked.answers,
        )
        chunks = answer.aiter_raw()
        first = await anext(chunks, b"")
        record.first_byte(answer.status_code)
        try:
            await send(_start(answer))
            await _send_bytes(send, stream.feed(first))
            cut_off = await self._pass_rest(chunks, stream, engine, send)
            record.outcome = "cut_off" if cut_off else "completed"
        finally:
            record.usage = stream.usage()
        await send({"type": "http.response.body", "body": b""})

    async def _pass_rest(
        self, chunks: AsyncIterator[bytes], stream: StreamUsage, engine: SupervisedEngine, send: Send
    ) -> bool:
        """Pass on the stream to its end, which is an error event when the engine dies; return whether it did."""
        try:
            async for chunk in chunks:
                if passed := stream.feed(chunk):
                    await send({"type": "http.response.body", "body": passed, "more_body": True})
        except httpx.TransportError:
            logger.warning("request.cut_off", extra={"engine": engine.declared.name})
            await _send_bytes(send, stream.cut_off() + error_event(engine.not_ready()))
            return True
        await _send_bytes(send, stream.finish())
        return False


def _start(answer: httpx.Response, length: int | None = None) -> dict[str, object]:
    headers = [(name.lower(), value) for name, value in answer.headers.raw if name.lower() in _PASSED_BACK]
    if length is None:
        headers += [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
    else:
        headers.append((b"content-length", str(length).encode()))
    return {"type": "http.response.start", "status": answer.status_code, "headers": headers}


async def _send_bytes(send: Send, content: bytes) -> None:
    if content:
        await send({"type": "http.response.body", "body": content, "more_body": True})


def _is_stream(answer: httpx.Response) -> bool:
    return str(answer.headers.get("content-type", "")).startswith("text/event-stream")
