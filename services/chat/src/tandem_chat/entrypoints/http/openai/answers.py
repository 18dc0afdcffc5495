"""Writes an answer in OpenAI's words, whole or as a stream, and ends it the moment that its caller leaves."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from tandem_chat.application.answer_once import AnswerOnce, Wish
from tandem_chat.application.ports import ReplyPiece
from tandem_chat.domain.allowance import TokenUsage
from tandem_chat.entrypoints.http.openai.errors import openai_error
from tandem_chat.entrypoints.http.problems import expected_problem_response, problem_of
from tandem_messaging.errors import TandemError

_DONE = b"data: [DONE]\n\n"


class Completion(Response):
    """The answer to one request, as a response."""

    def __init__(self, answers: AnswerOnce, wish: Wish, model: str, *, stream: bool, usage: bool) -> None:
        super().__init__()
        self._answers = answers
        self._wish = wish
        self._stream = stream
        self._tell_usage = usage
        self._head = {"id": f"chatcmpl-{uuid4().hex}", "created": int(time.time()), "model": model}
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answering = asyncio.create_task(self._answer(scope, receive, send))
        leaving = asyncio.create_task(_until_disconnect(receive))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            answering.cancel()  # leaves the engine's stream, which frees its slot
            leaving.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
        if not answering.cancelled():
            answering.result()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._answers.answer(self._wish) as pieces:
                if self._stream:
                    await self._send_stream(pieces, send)
                else:
                    await (await self._whole(pieces))(scope, receive, send)
        except TandemError as error:
            if self._started:
                await _send(send, _event(openai_error(problem_of(error))), more=False)
            else:
                await expected_problem_response(scope["path"], error)(scope, receive, send)

    async def _whole(self, pieces: AsyncIterator[ReplyPiece]) -> Response:
        text, finish_reason, usage = "", "stop", None
        async for piece in pieces:
            text += piece.text
            finish_reason = piece.finish_reason or finish_reason
            usage = piece.usage or usage
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}
        return JSONResponse(
            self._head | {"object": "chat.completion", "choices": [choice], "usage": _usage(usage)}
        )

    async def _send_stream(self, pieces: AsyncIterator[ReplyPiece], send: Send) -> None:
        usage = None
        async for piece in pieces:
            usage = piece.usage or usage
            if (
                not self._started
            ):  # not before the engine has begun: until then an error can still have a status
                await self._start(send)
            if piece.text or piece.finish_reason:
                delta = {"content": piece.text} if piece.text else {}
                await _send(send, self._chunk(delta, piece.finish_reason))
        if not self._started:
            await self._start(send)
        if self._tell_usage:
            await _send(send, _event(self._document([]) | {"usage": _usage(usage)}))
        await _send(send, _DONE, more=False)

    async def _start(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        self._started = True
        await _send(send, self._chunk({"role": "assistant", "content": ""}, None))

    def _chunk(self, delta: dict[str, str], finish_reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return _event(self._document([choice]))

    def _document(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return self._head | {"object": "chat.completion.chunk", "choices": choices}


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


def _event(document: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(document, ensure_ascii=False).encode() + b"\n\n"


def _usage(usage: TokenUsage | None) -> dict[str, int] | None:
    if usage is None:
        return None
    return vars(usage) | {"total_tokens": usage.prompt_tokens + usage.completion_tokens}


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
