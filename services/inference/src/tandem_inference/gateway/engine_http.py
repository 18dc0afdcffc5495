"""HTTP to the engines: sends one request and hands over the answer's bytes as they come.

aiohttp rather than httpx, which costs five times the CPU per request and three times per chunk (docs/adr/0006).
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import aiohttp
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from tandem_telemetry import inject_context

_tracer = trace.get_tracer("tandem_inference")

# An engine closes idle connections after 5 seconds; let go first, or a request meets a connection that is closing.
_KEEP_IDLE_SECONDS = 2.0
_CONNECT_TIMEOUT_SECONDS = 5.0
_HEALTH_TIMEOUT = aiohttp.ClientTimeout(total=5.0)


class EngineDiedError(Exception):
    """The connection to the engine failed: it is gone, or going."""


class EngineAnswer(Protocol):
    """The head of an engine's answer. Both methods raise EngineDiedError when the rest does not come."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]: ...

    async def next_bytes(self) -> bytes:
        """Return what has come since, waiting for something to come; b"" at the end."""
        ...

    async def whole(self) -> bytes:
        """Return all that comes until the end."""
        ...


class Engines(Protocol):
    """How requests reach engines."""

    def post(
        self, url: str, content: bytes, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[EngineAnswer]:
        """Send a request. Leaving the context before the answer's end closes the connection, so that the engine stops.

        Raises:
            EngineDiedError: no answer begins.
        """
        ...

    async def is_healthy(self, base_url: str) -> bool:
        """Whether the engine at `base_url` answers its health check."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class EngineHttp:
    """`Engines` over the network. Connections are kept between requests."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> AsyncIterator[EngineAnswer]:
        facts = {"http.request.method": "POST", "url.full": url}
        with _tracer.start_as_current_span("POST", kind=SpanKind.CLIENT, attributes=facts) as span:
            try:
                answer = await self._open().post(
                    url, data=content, headers={**headers, **inject_context()}, allow_redirects=False
                )
            except (aiohttp.ClientError, TimeoutError) as error:
                raise _died(error) from error
            span.set_attribute("http.response.status_code", answer.status)
            try:
                yield _Answer(answer)
            finally:
                answer.release() if answer.content.at_eof() else answer.close()

    async def is_healthy(self, base_url: str) -> bool:
        try:
            async with self._open().get(f"{base_url}/health", timeout=_HEALTH_TIMEOUT) as answer:
                return answer.ok
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:  # aiohttp wants the running loop, which is not there yet when all is wired
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_IDLE_SECONDS),
                # An answer may take as long as it takes: its caller's leaving is the limit.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT_SECONDS),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent",),
            )
        return self._session


class _Answer:
    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.status = answer.status
        self.headers = answer.raw_headers
        self._content = answer.content

    async def next_bytes(self) -> bytes:
        try:
            return await self._content.readany()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _died(error) from error

    async def whole(self) -> bytes:
        try:
            return await self._content.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _died(error) from error


def _died(error: Exception) -> EngineDiedError:
    return EngineDiedError(f"{type(error).__name__}: {error}")
