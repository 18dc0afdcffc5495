"""A lean HTTP client for load: counts events of a stream and when they came, and costs so little that it hides nothing.

One connection per request, as many callers would have. It keeps no text but that of answers that are no stream.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httptools


@dataclass
class Answer:
    """What came back. Seconds are counted from sending; `events` are the stream's, `[DONE]` among them."""

    status: int = 0
    first_seconds: float | None = None
    total_seconds: float = 0.0
    events: int = 0
    body: bytearray = field(default_factory=bytearray)
    done: bool = False

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class _Reader:
    """Callbacks of the parser."""

    def __init__(self, answer: Answer, started: float, on_event: Callable[[], None] | None) -> None:
        self._answer, self._started, self._on_event = answer, started, on_event
        self._is_stream = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self._is_stream = value.startswith(b"text/event-stream")

    def on_body(self, data: bytes) -> None:
        answer = self._answer
        if answer.first_seconds is None:
            answer.first_seconds = time.perf_counter() - self._started
        if not self._is_stream:
            answer.body += data
            return
        came = data.count(b"data: ")
        answer.events += came
        if self._on_event is not None:
            for _ in range(came):
                self._on_event()

    def on_message_complete(self) -> None:
        self._answer.done = True


async def post(
    url: str,
    body: dict[str, Any],
    headers: dict[str, str] | None = None,
    *,
    on_event: Callable[[], None] | None = None,
) -> Answer:
    """POST `body` and read the answer to its end; cancel to leave, which closes the connection at once.

    Raises:
        OSError: the server could not be reached, or went away before the answer's end.
    """
    where = urlsplit(url)
    content = json.dumps(body).encode()
    head = [f"POST {where.path} HTTP/1.1", f"Host: {where.netloc}", "Content-Type: application/json"]
    head += [f"Content-Length: {len(content)}", "Connection: close"]
    head += [f"{name}: {value}" for name, value in (headers or {}).items()]
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    answer, started = Answer(), time.perf_counter()
    parser = httptools.HttpResponseParser(_Reader(answer, started, on_event))
    try:
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + content)
        while not answer.done:
            data = await reader.read(65536)
            if not data:
                raise ConnectionResetError(f"{url}: the answer was cut off after {answer.events} events")
            parser.feed_data(data)
        answer.status = parser.get_status_code()
        answer.total_seconds = time.perf_counter() - started
        return answer
    finally:
        writer.transport.abort()
