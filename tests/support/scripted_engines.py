"""Engines that are one Python function, for tests of the gateway without sockets: httpx's requests and answers describe them."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import httpx

from tandem_inference.gateway.engine_http import EngineAnswer, EngineDiedError


class ScriptedEngines:
    """Asks `answer` for each request; what it raises as an httpx.TransportError is an engine that dies."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self._answer = answer

    @asynccontextmanager
    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> AsyncIterator[EngineAnswer]:
        try:
            answer = self._answer(httpx.Request("POST", url, content=content, headers=dict(headers)))
        except httpx.TransportError as error:
            raise EngineDiedError(repr(error)) from error
        yield _ScriptedAnswer(answer)

    async def is_healthy(self, base_url: str) -> bool:
        try:
            return self._answer(httpx.Request("GET", f"{base_url}/health")).is_success
        except httpx.TransportError:
            return False

    async def aclose(self) -> None:
        return


class _ScriptedAnswer:
    def __init__(self, answer: httpx.Response) -> None:
        self.status = answer.status_code
        self.headers = answer.headers.raw
        self._chunks = _once(answer.content) if answer.is_stream_consumed else answer.aiter_raw()

    async def next_bytes(self) -> bytes:
        try:
            return await anext(self._chunks, b"")
        except httpx.TransportError as error:
            raise EngineDiedError(repr(error)) from error

    async def whole(self) -> bytes:
        content = b""
        while chunk := await self.next_bytes():
            content += chunk
        return content


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
