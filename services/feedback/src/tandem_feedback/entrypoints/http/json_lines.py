"""An HTTP answer that is written while the request's body is still being read, line by line.

A caller may send everything before it reads anything: the two directions never wait for each other.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Final, Self

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from tandem_contracts.envelope import MAX_DATA_BYTES
from tandem_feedback.domain.errors import RequestTooLargeError

_MAX_LINE_BYTES: Final = MAX_DATA_BYTES
_MAX_SPOOLED_BYTES: Final = 1_000_000
_READ_BYTES: Final = 65_536


@dataclass(frozen=True)
class Line:
    """One line of the body; too long a line is not kept."""

    number: int
    data: bytes | None

    def content(self) -> bytes:
        """Return the line's bytes. Raises RequestTooLargeError."""
        if self.data is None:
            raise RequestTooLargeError(
                f"line {self.number}: expected at most {_MAX_LINE_BYTES} bytes; send a shorter transcript"
            )
        return self.data


Groups = AsyncIterator[Sequence[Line]]


class LinesAnswer(Response):
    """Sends what `answer` makes of the body's lines, which come in groups as they arrive. Blank lines are left out."""

    def __init__(
        self,
        answer: Callable[[Groups], AsyncIterator[bytes]],
        *,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(media_type=media_type, headers=dict(headers))
        del self.headers["content-length"]
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Asking for the body comes first: a caller that waits for "100 Continue" must get that before the answer.
        first = await receive()
        with _Spool() as spool:
            filling = asyncio.create_task(self._fill(spool, first, receive))
            try:
                await send(
                    {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
                )
                async for data in spool.read():
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                await filling
                await send({"type": "http.response.body", "body": b""})
            finally:
                filling.cancel()

    async def _fill(self, spool: "_Spool", first: Message, receive: Receive) -> None:
        try:
            async for answered in self._answer(_lines(first, receive)):
                spool.write(answered)
        finally:
            spool.end()


class _Spool:
    """Bytes on their way from a writer that never waits to a reader that may be slow; beyond 1 MB they lie in a file."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=_MAX_SPOOLED_BYTES)  # noqa: SIM115 - closed by __exit__
        self._written = asyncio.Event()
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        self._file.seek(0, 2)
        self._file.write(data)
        self._written.set()

    def end(self) -> None:
        self._ended = True
        self._written.set()

    async def read(self) -> AsyncIterator[bytes]:
        position = 0
        while True:
            self._written.clear()
            self._file.seek(position)
            if data := self._file.read(_READ_BYTES):
                position += len(data)
                yield data
            elif self._ended:
                return
            else:
                await self._written.wait()


async def _lines(message: Message, receive: Receive) -> Groups:
    """Yield the lines that each piece of the body completes; ends with the body, or when the caller leaves."""
    number, kept, is_too_long = 0, bytearray(), False

    def finished(piece: bytes) -> Line:
        nonlocal number, is_too_long
        number += 1
        whole = bytes(kept) + piece
        too_long = is_too_long or len(whole) > _MAX_LINE_BYTES
        kept.clear()
        is_too_long = False
        return Line(number, None if too_long else whole)

    while message["type"] == "http.request":
        *complete, rest = message.get("body", b"").split(b"\n")
        lines = [finished(piece) for piece in complete]
        kept += rest
        if len(kept) > _MAX_LINE_BYTES:
            is_too_long = True
            kept.clear()
        if not message.get("more_body", False):
            lines.append(finished(b""))
            yield _not_blank(lines)
            return
        yield _not_blank(lines)
        message = await receive()


def _not_blank(lines: Sequence[Line]) -> Sequence[Line]:
    return [line for line in lines if line.data is None or line.data.strip()]
