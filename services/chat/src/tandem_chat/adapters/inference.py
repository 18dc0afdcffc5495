"""`ports.Engine` on the inference gateway's OpenAI-compatible address.

Only the fields named here ever reach the engine; whatever a user sends stays inside `messages` as text.
"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tandem_chat.application.ports import ReplyPiece, TokenCount
from tandem_chat.domain.allowance import TokenUsage
from tandem_chat.domain.errors import EngineBrokeOffError, EngineNotReadyError, EngineRefusedError
from tandem_chat.domain.persona import Sampling
from tandem_chat.domain.prompt import PromptMessage
from tandem_telemetry import instrument_client

_CONNECT_SECONDS = 2.0
# A reply may wait long in the engine's queue before its first token.
_READ_SECONDS = 300.0
_COUNT_SECONDS = 10.0
_READY_SECONDS = 2.0
_DEFAULT_RETRY_SECONDS = 2.0
_CLASS_HEADER = {"X-Tandem-Class": "interactive"}


class InferenceGateway:
    """The engine, reached over HTTP. Close it with the application."""

    def __init__(self, base_url: str, model: str, token: str | None) -> None:
        headers = dict(_CLASS_HEADER)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers=headers,
            timeout=httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS),
            # Every open stream holds a connection: the engine's queue is the limit, not this pool.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            trust_env=False,
        )
        instrument_client(self._client)
        self._model = model

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def require_ready(self) -> None:
        try:
            response = await self._client.get("/ready", timeout=_READY_SECONDS)
        except httpx.TransportError as error:
            raise _unreachable(error) from error
        if response.status_code != httpx.codes.OK:
            raise _refusal(response.status_code, response.content, response.headers)

    async def count_tokens(
        self, messages: Sequence[PromptMessage], *, model: str | None = None
    ) -> TokenCount:
        body = {"model": model or self._model, "messages": _as_json(messages), "add_generation_prompt": True}
        try:
            response = await self._client.post("/tokenize", json=body, timeout=_COUNT_SECONDS)
        except httpx.TransportError as error:
            raise _unreachable(error) from error
        if response.status_code != httpx.codes.OK:
            raise _refusal(response.status_code, response.content, response.headers)
        try:
            counted = response.json()
            return TokenCount(prompt_tokens=counted["count"], window_tokens=counted["max_model_len"])
        except (ValueError, LookupError, TypeError) as error:
            raise EngineRefusedError(
                "inference: expected a token count from /tokenize, got something else; check the address"
            ) from error

    @asynccontextmanager
    async def stream_reply(
        self,
        messages: Sequence[PromptMessage],
        *,
        max_tokens: int,
        model: str | None = None,
        sampling: Sampling | None = None,
    ) -> AsyncIterator[AsyncIterator[ReplyPiece]]:
        body = {
            "model": model or self._model,
            "messages": _as_json(messages),
            "max_tokens": max_tokens,
            "stream": True,
            # Told with every piece, so that the tokens of a reply that is stopped are known too.
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
            **_as_fields(sampling),
        }
        request = self._client.build_request("POST", "/v1/chat/completions", json=body)
        try:
            response = await self._client.send(request, stream=True)
        except httpx.TransportError as error:
            raise _unreachable(error) from error
        try:
            if response.status_code != httpx.codes.OK:
                raise _refusal(response.status_code, await response.aread(), response.headers)
            yield _pieces(response)
        finally:
            await response.aclose()


async def _pieces(response: httpx.Response) -> AsyncIterator[ReplyPiece]:
    finished = False
    try:
        async for data in _event_data(response):
            if data == b"[DONE]":
                finished = True
                continue
            chunk = json.loads(data)
            if "error" in chunk:
                raise EngineBrokeOffError(_message(data) or "the engine failed")
            usage = _usage(chunk.get("usage"))
            for choice in chunk["choices"]:
                text = _storable(choice["delta"].get("content") or "")
                yield ReplyPiece(text, choice.get("finish_reason"), usage)
            if usage is not None and not chunk["choices"]:
                yield ReplyPiece("", usage=usage)
    except (ValueError, LookupError, TypeError) as error:
        raise EngineBrokeOffError("an event of the stream could not be read") from error
    except httpx.TransportError as error:
        raise EngineBrokeOffError(f"connection to inference lost ({type(error).__name__})") from error
    if not finished:
        raise EngineBrokeOffError("the stream ended without its closing mark")


def _usage(told: Any) -> TokenUsage | None:
    if told is None:
        return None
    return TokenUsage(int(told["prompt_tokens"]), int(told.get("completion_tokens") or 0))


def _storable(text: str) -> str:
    """Replace the few characters that a model may sample and a database cannot store."""
    return text.encode(errors="replace").decode().replace("\x00", "\ufffd")


async def _event_data(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the data of each event. Splits at newlines only: JSON text may hold other line separators as they are."""
    rest = b""
    async for received in response.aiter_bytes():
        *lines, rest = (rest + received).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()


def _as_json(messages: Sequence[PromptMessage]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _as_fields(sampling: Sampling | None) -> dict[str, Any]:
    chosen = {} if sampling is None else vars(sampling)
    return {
        name: list(value) if name == "stop" else value
        for name, value in chosen.items()
        if value not in (None, ())
    }


def _unreachable(error: httpx.TransportError) -> EngineNotReadyError:
    return EngineNotReadyError(
        f"the inference service does not answer ({type(error).__name__})", retry_after=_DEFAULT_RETRY_SECONDS
    )


def _refusal(status: int, content: bytes, headers: httpx.Headers) -> EngineNotReadyError | EngineRefusedError:
    message = _message(content) or f"the inference service answered {status}"
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return EngineNotReadyError(message, retry_after=_retry_after(headers))
    return EngineRefusedError(message)


def _message(content: bytes) -> str | None:
    """Read the sentence out of a problem document or of OpenAI's error shape."""
    try:
        body: Any = json.loads(content)
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    found = error.get("message") if isinstance(error, dict) else body.get("detail")
    return found if isinstance(found, str) else None


def _retry_after(headers: httpx.Headers) -> float:
    try:
        return max(0.1, float(headers.get("Retry-After", _DEFAULT_RETRY_SECONDS)))
    except ValueError:
        return _DEFAULT_RETRY_SECONDS
