"""The gateway's answers become generations, waits or final refusals: one wrong turn here loses or repeats feedback."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from tandem_feedback.adapters.inference import InferenceGateway
from tandem_feedback.application.ports import ServedModel
from tandem_feedback.domain.errors import (
    EngineBusyError,
    EngineFailedError,
    EngineRefusedError,
    EngineUnavailableError,
)

MESSAGES = [{"role": "user", "content": "Hello"}]
Answer = Callable[[httpx.Request], httpx.Response]


class Gateway:
    """The adapter, connected to `answer` in place of a network."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _: httpx.Response(500)
        self.requests: list[httpx.Request] = []
        self.adapter = InferenceGateway("http://inference", "secret-token")
        self.adapter._client._transport = httpx.MockTransport(self._handle)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answer(request)

    async def generate(self) -> Any:
        return await self.adapter.generate(
            "model-a",
            MESSAGES,
            schema={"type": "object"},
            max_tokens=50,
            seed=3,
            temperature=0.5,
            cache_salt="salt",
        )


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    yield gateway
    await gateway.adapter.close()


def completion(text: str | None, finish_reason: str = "stop") -> httpx.Response:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    return httpx.Response(200, json={"choices": [choice], "usage": usage})


def problem(status: int, **headers: str) -> httpx.Response:
    document = {
        "title": "t",
        "status": status,
        "detail": "the engine is starting",
        "code": "engine_not_ready",
    }
    return httpx.Response(status, json=document, headers=headers)


async def test_generation_is_asked_for_in_the_background_class_and_guided(gateway: Gateway) -> None:
    gateway.answer = lambda _: completion('{"a": 1}')
    generated = await gateway.generate()
    assert (generated.text, generated.truncated) == ('{"a": 1}', False)
    assert (generated.prompt_tokens, generated.completion_tokens) == (11, 7)
    (request,) = gateway.requests
    body = json.loads(request.content)
    assert request.headers["X-Tandem-Class"] == "background"
    assert request.headers["Authorization"] == "Bearer secret-token"
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    asked = {"model": "model-a", "max_tokens": 50, "seed": 3, "temperature": 0.5, "cache_salt": "salt"}
    assert asked.items() <= body.items()


async def test_truncation_is_noticed(gateway: Gateway) -> None:
    gateway.answer = lambda _: completion('{"a', "length")
    assert (await gateway.generate()).truncated


async def test_empty_answer_is_no_crash(gateway: Gateway) -> None:
    gateway.answer = lambda _: completion(None)
    assert (await gateway.generate()).text == ""


async def test_free_tokens_are_what_the_prompt_leaves_of_the_window(gateway: Gateway) -> None:
    gateway.answer = lambda _: httpx.Response(200, json={"count": 300, "max_model_len": 200, "tokens": []})
    size = await gateway.adapter.measure("model-a", MESSAGES)
    assert (size.prompt_tokens, size.free_tokens) == (300, -100)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("judge-lora", ServedModel("model-a", adapter="judge-lora")),
        ("model-a", ServedModel("model-a")),
        ("unheard-of", ServedModel("unheard-of")),
    ],
)
async def test_adapter_is_told_from_its_base_model(
    gateway: Gateway, name: str, expected: ServedModel
) -> None:
    cards = [{"id": "model-a", "root": "model-a"}, {"id": "judge-lora", "parent": "model-a"}]
    gateway.answer = lambda _: httpx.Response(200, json={"object": "list", "data": cards})
    assert await gateway.adapter.identify(name) == expected
    assert gateway.requests[0].url.path == "/v1/models"


@pytest.mark.parametrize("status", [429, 502, 503, 504, 401, 403])
async def test_waiting_helps_when_the_service_is_full_away_or_locked(gateway: Gateway, status: int) -> None:
    gateway.answer = lambda _: problem(status, **{"Retry-After": "7"})
    with pytest.raises(EngineUnavailableError, match="engine is starting") as raised:
        await gateway.generate()
    assert raised.value.retry_after == 7


@pytest.mark.parametrize(
    ("status", "code"), [(429, "queue_full"), (503, "queue_timeout"), (504, "deadline_exceeded")]
)
async def test_an_engine_whose_queue_was_too_long_is_busy_and_not_away(
    gateway: Gateway, status: int, code: str
) -> None:
    refusal = {"error": {"message": "too many wait", "type": "busy", "param": None, "code": code}}
    gateway.answer = lambda _: httpx.Response(status, json=refusal, headers={"Retry-After": "7"})
    with pytest.raises(EngineBusyError, match="too many wait") as raised:
        await gateway.generate()
    assert raised.value.retry_after == 7


@pytest.mark.parametrize("status", [500, 501, 507])
async def test_error_of_the_engine_on_this_request_is_no_waiting(gateway: Gateway, status: int) -> None:
    gateway.answer = lambda _: problem(status)
    with pytest.raises(EngineFailedError, match=f"answered {status}: the engine is starting"):
        await gateway.generate()


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_refusal_is_final_and_told_in_the_engines_words(gateway: Gateway, status: int) -> None:
    error = {"message": "The model `model-a` does not exist.", "type": "NotFoundError", "code": status}
    gateway.answer = lambda _: httpx.Response(status, json={"error": error})
    with pytest.raises(EngineRefusedError, match="`model-a` does not exist"):
        await gateway.generate()


@pytest.mark.parametrize("header", ["soon", "-5", ""])
async def test_odd_retry_after_is_no_crash(gateway: Gateway, header: str) -> None:
    gateway.answer = lambda _: problem(503, **{"Retry-After": header})
    with pytest.raises(EngineUnavailableError) as raised:
        await gateway.generate()
    assert raised.value.retry_after is not None
    assert raised.value.retry_after > 0


@pytest.mark.parametrize(
    "content", [b"", b"<html>Bad gateway</html>", b"[]", b'{"error": "text"}', b'{"detail": 7}']
)
async def test_status_is_told_when_the_error_has_no_readable_sentence(
    gateway: Gateway, content: bytes
) -> None:
    gateway.answer = lambda _: httpx.Response(502, content=content)
    with pytest.raises(EngineUnavailableError, match="502"):
        await gateway.generate()


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
async def test_waiting_helps_when_the_service_cannot_be_reached(
    gateway: Gateway, error: type[httpx.TransportError]
) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise error("gone")

    gateway.answer = refuse
    with pytest.raises(EngineUnavailableError, match="does not answer"):
        await gateway.generate()
    with pytest.raises(EngineUnavailableError):
        await gateway.adapter.require_ready()


async def test_waiting_helps_when_something_else_answers_on_the_address(gateway: Gateway) -> None:
    gateway.answer = lambda _: httpx.Response(200, content=b"<html>Welcome to nginx</html>")
    with pytest.raises(EngineUnavailableError, match="JSON"):
        await gateway.generate()


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": [{"message": None}]}, []])
async def test_waiting_helps_when_the_answer_lacks_what_openai_promises(gateway: Gateway, body: Any) -> None:
    gateway.answer = lambda _: httpx.Response(200, json=body)
    with pytest.raises(EngineUnavailableError, match="expected"):
        await gateway.generate()
