"""One request sent to one engine, and the answer's bytes passed on as they come."""

import logging
import time
from http import HTTPStatus

from starlette.types import Send

from tandem_inference.engines.supervised_engine import SupervisedEngine
from tandem_inference.gateway.asked import Asked
from tandem_inference.gateway.engine_http import EngineAnswer, EngineDiedError, Engines
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
    """Sends requests to engines and passes their answers on; remembers what it learns about them."""

    def __init__(self, engines: Engines) -> None:
        self.recent = RecentAnswers()
        self._engines = engines
        self._fingerprints = Fingerprints()

    async def run(self, asked: Asked, engine: SupervisedEngine, send: Send, record: RequestRecord) -> None:
        """Pass the answer of `engine` to `send`. Cancelling closes the connection, which makes the engine stop.

        Raises:
            EngineDiedError: the engine died before anything was sent to the caller.
        """
        began = time.monotonic()
        async with self._engines.post(engine.base_url + asked.path, asked.content, asked.headers) as answer:
            if _is_stream(answer):
                await self._pass_stream(asked, answer, engine, send, record)
            else:
                await self._pass_whole(answer, send, record)
        if record.outcome == "completed":
            self.recent.add(engine.declared.name, asked.path, time.monotonic() - began)

    async def is_healthy(self, engine: SupervisedEngine) -> bool:
        """Whether `engine` answers its health check."""
        return await self._engines.is_healthy(engine.base_url)

    async def _pass_whole(self, answer: EngineAnswer, send: Send, record: RequestRecord) -> None:
        content = await answer.whole()
        if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR and _DYING in content:
            raise EngineDiedError(_DYING.decode())
        record.first_byte(answer.status)
        record.used(usage_in(content))
        await send(_start(answer, len(content)))
        await send({"type": "http.response.body", "body": content})
        record.outcome = "completed" if answer.status < HTTPStatus.BAD_REQUEST else "rejected"

    async def _pass_stream(
        self,
        asked: Asked,
        answer: EngineAnswer,
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
        first = await answer.next_bytes()
        record.first_byte(answer.status)
        try:
            await send(_start(answer))
            cut_off = await self._pass_events(first, answer, stream, engine, send)
            record.outcome = "cut_off" if cut_off else "completed"
        finally:
            record.used(stream.usage())
        await send({"type": "http.response.body", "body": b""})

    async def _pass_events(
        self, chunk: bytes, answer: EngineAnswer, stream: StreamUsage, engine: SupervisedEngine, send: Send
    ) -> bool:
        """Pass on the stream from `chunk` to its end, an error event when the engine dies; return whether it did."""
        try:
            while chunk:
                if passed := stream.feed(chunk):
                    await send({"type": "http.response.body", "body": passed, "more_body": True})
                chunk = await answer.next_bytes()
            last, cut_off = stream.finish(), False
        except EngineDiedError:
            logger.warning("request.cut_off", extra={"engine": engine.declared.name})
            last, cut_off = stream.cut_off() + error_event(engine.not_ready()), True
        if last:
            await send({"type": "http.response.body", "body": last, "more_body": True})
        return cut_off


def _start(answer: EngineAnswer, length: int | None = None) -> dict[str, object]:
    headers = [(name.lower(), value) for name, value in answer.headers if name.lower() in _PASSED_BACK]
    if length is None:
        headers += [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
    else:
        headers.append((b"content-length", str(length).encode()))
    return {"type": "http.response.start", "status": answer.status, "headers": headers}


def _is_stream(answer: EngineAnswer) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in answer.headers
    )
