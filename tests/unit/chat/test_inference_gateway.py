"""What chat makes of the inference service's answers, the broken ones included."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import httpx
import pytest

from tandem_chat.adapters.inference import InferenceGateway
from tandem_chat.application.ports import TokenCount
from tandem_chat.domain.allowance import TokenUsage
from tandem_chat.domain.errors import EngineBrokeOffError, EngineNotReadyError, EngineRefusedError
from tandem_chat.domain.prompt import PromptMessage
from tandem_messaging.errors import TandemError

PROMPT = [PromptMessage("user", "Hello?")]
DONE = b"data: [DONE]\n\n"


def _gateway(answer: Callable[[httpx.Request], httpx.Response]) -> InferenceGateway:
    gateway = InferenceGateway("http://inference", "a-model", "secret")
    gateway._client = httpx.AsyncClient(
        transport=httpx.MockTransport(answer), base_url="http://inference", headers=gateway._client.headers
    )
    return gateway


def _event(content: str | None, finish_reason: str | None = None) -> bytes:
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"choices": [choice]}, ensure_ascii=False).encode() + b"\n\n"


async def _sent(parts: Sequence[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def _reply(*parts: bytes, status: int = 200, headers: dict[str, str] | None = None) -> str:
    gateway = _gateway(lambda _: httpx.Response(status, content=_sent(parts), headers=headers))
    async with gateway.stream_reply(PROMPT, max_tokens=7) as pieces:
        return "".join([piece.text async for piece in pieces])


async def test_only_allowed_fields_are_asked_for_with_class_and_token() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=DONE)

    async with _gateway(answer).stream_reply(PROMPT, max_tokens=7) as pieces:
        assert [piece async for piece in pieces] == []

    assert json.loads(asked[0].content) == {
        "model": "a-model",
        "messages": [{"role": "user", "content": "Hello?"}],
        "max_tokens": 7,
        "stream": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
    }
    assert asked[0].headers["X-Tandem-Class"] == "interactive"
    assert asked[0].headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_text_is_read_however_the_bytes_are_cut(size: int) -> None:
    text = "여우 🦊\u2028 and \x85 line\r\nends: data: x"
    whole = (
        b": a comment\n\n" + b"".join(_event(character) for character in text) + _event(None, "stop") + DONE
    )

    assert await _reply(*(whole[i : i + size] for i in range(0, len(whole), size))) == text


async def test_tokens_are_told_with_the_pieces_and_the_last_word_is_the_engines() -> None:
    def told(completion_tokens: int) -> bytes:
        return (
            b'"usage": {"prompt_tokens": 9, "total_tokens": 0, "completion_tokens": %d}' % completion_tokens
        )

    parts = [
        b'data: {"choices": [{"delta": {"content": "a"}}], ' + told(1) + b"}\n\n",
        b'data: {"choices": [{"delta": {"content": "b"}}]}\n\n',
        b'data: {"choices": [], ' + told(3) + b"}\n\n",
        DONE,
    ]
    gateway = _gateway(lambda _: httpx.Response(200, content=_sent(parts)))
    async with gateway.stream_reply(PROMPT, max_tokens=7) as pieces:
        usages = [piece.usage async for piece in pieces]

    assert usages == [TokenUsage(9, 1), None, TokenUsage(9, 3)]


async def test_what_no_database_can_store_is_replaced() -> None:
    lone = b'data: {"choices": [{"delta": {"content": "a\\ud83d|\\u0000b"}}]}\n\n'

    assert await _reply(lone, DONE) == "a?|\ufffdb"


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([_event("half")], id="no closing mark"),
        pytest.param([_event("half"), b"data: {oops\n\n", DONE], id="no JSON"),
        pytest.param([_event("half"), b'data: {"choices": [{}]}\n\n', DONE], id="no delta"),
        pytest.param([_event("half"), b"data: 17\n\n", DONE], id="a number"),
        pytest.param([_event("half"), b'data: {"error": {"message": "CUDA"}}\n\n', DONE], id="an error"),
        pytest.param([_event("half"), b'data: {"error": "CUDA"}\n\n', DONE], id="an odd error"),
    ],
)
async def test_stream_that_goes_wrong_has_broken_off(parts: list[bytes]) -> None:
    with pytest.raises(EngineBrokeOffError):
        await _reply(*parts)


@pytest.mark.parametrize(
    ("status", "headers", "error", "retry_after"),
    [
        (429, {"Retry-After": "3"}, EngineNotReadyError, 3.0),
        (503, {"Retry-After": "0"}, EngineNotReadyError, 0.1),
        (503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, EngineNotReadyError, 2.0),
        (500, {}, EngineNotReadyError, 2.0),
        (400, {}, EngineRefusedError, None),
        (404, {}, EngineRefusedError, None),
    ],
)
@pytest.mark.parametrize(
    "body",
    [b'{"error": {"message": "the reason"}}', b'{"detail": "the reason"}', b"<html>", b"[]", b""],
)
async def test_refusal_is_waited_out_or_final_as_its_status_says(
    status: int, headers: dict[str, str], error: type[TandemError], retry_after: float | None, body: bytes
) -> None:
    with pytest.raises(error) as refused:
        await _reply(body, status=status, headers=headers)

    assert getattr(refused.value, "retry_after", None) == retry_after
    assert ("the reason" in str(refused.value)) == (b"reason" in body)


@pytest.mark.parametrize("failure", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
async def test_silent_service_is_not_ready(failure: type[httpx.TransportError]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise failure("nothing")

    gateway = _gateway(answer)

    with pytest.raises(EngineNotReadyError):
        await gateway.count_tokens(PROMPT)
    with pytest.raises(EngineNotReadyError):
        await gateway.require_ready()
    with pytest.raises(EngineNotReadyError):
        async with gateway.stream_reply(PROMPT, max_tokens=7):
            pass


async def test_tokens_are_counted_by_the_engine() -> None:
    gateway = _gateway(lambda _: httpx.Response(200, json={"count": 12, "max_model_len": 2048, "tokens": []}))

    assert await gateway.count_tokens(PROMPT) == TokenCount(12, 2048)


@pytest.mark.parametrize("answer", [{"text": "<html>"}, {"json": {}}, {"json": [1]}, {"json": None}])
async def test_answer_that_is_no_count_points_to_the_address(answer: dict[str, Any]) -> None:
    gateway = _gateway(lambda _: httpx.Response(200, **answer))

    with pytest.raises(EngineRefusedError, match="address"):
        await gateway.count_tokens(PROMPT)
