"""`ports.Engine` on the inference gateway, in the background class: chat goes first, always."""

import json
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, Field, ValidationError

from tandem_feedback.application.ports import ChatMessages, Generation, PromptSize, ServedModel
from tandem_feedback.domain.errors import (
    EngineBusyError,
    EngineFailedError,
    EngineRefusedError,
    EngineUnavailableError,
)
from tandem_telemetry import instrument_client

_CONNECT_SECONDS = 2.0
# Background work may stand in the engine's queue for long; the gateway, not this, bounds that wait.
_READ_SECONDS = 900.0
_COUNT_SECONDS = 10.0
_READY_SECONDS = 2.0
_DEFAULT_RETRY_SECONDS = 2.0
# What the gateway calls a request that waited there in vain, with whatever status: the engine works.
_BUSY = {"queue_full", "queue_timeout", "deadline_exceeded"}
# Said of the engine and its operator; any other 5xx is said of this request.
_AWAY = (
    httpx.codes.UNAUTHORIZED,
    httpx.codes.FORBIDDEN,
    httpx.codes.BAD_GATEWAY,
    httpx.codes.SERVICE_UNAVAILABLE,
    httpx.codes.GATEWAY_TIMEOUT,
)


class _Count(BaseModel):
    count: int
    max_model_len: int


class _ModelCard(BaseModel):
    id: str
    parent: str | None = None


class _Models(BaseModel):
    data: list[_ModelCard]


class _Message(BaseModel):
    content: str | None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None


class _Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage


_Answer = TypeVar("_Answer", bound=BaseModel)
# Small models fall into loops inside guided text and then meet the token limit; this costs large ones nothing.
_REPETITION_PENALTY = 1.1


class InferenceGateway:
    """The engine, reached over HTTP. Close it with the application."""

    def __init__(self, base_url: str, token: str | None) -> None:
        headers = {"X-Tandem-Class": "background"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        timeout = httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
        self._client = httpx.AsyncClient(base_url=base_url, headers=headers, timeout=timeout, trust_env=False)
        instrument_client(self._client)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def require_ready(self) -> None:
        await self._answer("GET", "/ready", None, _READY_SECONDS)

    async def identify(self, name: str) -> ServedModel:
        served = _read(_Models, await self._answer("GET", "/v1/models", None, _COUNT_SECONDS))
        parents = {card.id: card.parent for card in served.data}
        # Of its cards only an adapter's names a parent.
        return ServedModel(parent, adapter=name) if (parent := parents.get(name)) else ServedModel(name)

    async def measure(self, model: str, messages: ChatMessages) -> PromptSize:
        body = {"model": model, "messages": messages, "add_generation_prompt": True}
        counted = _read(_Count, await self._answer("POST", "/tokenize", body, _COUNT_SECONDS))
        return PromptSize(prompt_tokens=counted.count, window_tokens=counted.max_model_len)

    async def generate(
        self,
        model: str,
        messages: ChatMessages,
        *,
        schema: dict[str, Any],
        max_tokens: int,
        seed: int,
        temperature: float,
        cache_salt: str,
    ) -> Generation:
        body = {
            "model": model,
            "messages": messages,
            "max_tokens": max_tokens,
            "seed": seed,
            "temperature": temperature,
            "cache_salt": cache_salt,
            "repetition_penalty": _REPETITION_PENALTY,
            "response_format": {"type": "json_schema", "json_schema": {"name": "feedback", "schema": schema}},
        }
        answer = _read(_Completion, await self._answer("POST", "/v1/chat/completions", body, _READ_SECONDS))
        choice = answer.choices[0]
        return Generation(
            text=choice.message.content or "",
            truncated=choice.finish_reason == "length",
            prompt_tokens=answer.usage.prompt_tokens,
            completion_tokens=answer.usage.completion_tokens,
        )

    async def _answer(self, method: str, path: str, body: Any, timeout_seconds: float) -> bytes:
        timeout = httpx.Timeout(timeout_seconds, connect=_CONNECT_SECONDS)
        try:
            response = await self._client.request(method, path, json=body, timeout=timeout)
        except httpx.TransportError as error:
            raise EngineUnavailableError(
                f"the inference service does not answer ({type(error).__name__})",
                retry_after=_DEFAULT_RETRY_SECONDS,
            ) from error
        if response.status_code == httpx.codes.OK:
            return response.content
        message = _message(response.content) or f"the inference service answered {response.status_code}"
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS or _code(response.content) in _BUSY:
            raise EngineBusyError(message, retry_after=_retry_after(response.headers))
        # A wrong token is the operator's to mend: requests wait for it instead of failing by the thousand.
        if response.status_code in _AWAY:
            raise EngineUnavailableError(message, retry_after=_retry_after(response.headers))
        if response.is_server_error:
            raise EngineFailedError(f"the engine answered {response.status_code}: {message}")
        raise EngineRefusedError(message)


def _read(model: type[_Answer], content: bytes) -> _Answer:
    """Read an answer; whatever else sits at the address is the operator's to mend, so requests wait for that too."""
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "answer"
        raise EngineUnavailableError(
            f"expected an answer of the inference service, got something else ({where}: {first['msg']}); "
            "does the address point to it?",
            retry_after=_DEFAULT_RETRY_SECONDS,
        ) from error


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


def _code(content: bytes) -> str | None:
    """Read the code out of OpenAI's error shape."""
    try:
        found: Any = json.loads(content)["error"]["code"]
    except (ValueError, LookupError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _retry_after(headers: httpx.Headers) -> float:
    try:
        return max(0.1, float(headers.get("Retry-After", _DEFAULT_RETRY_SECONDS)))
    except ValueError:
        return _DEFAULT_RETRY_SECONDS
