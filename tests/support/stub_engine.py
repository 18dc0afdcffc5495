"""Speaks enough of vLLM's OpenAI-compatible API to stand in for an engine, with settable times and no model.

Run it (`python tests/support/stub_engine.py --port 8801 --token-delay-seconds 0.02`; vLLM's other flags are accepted and
ignored) or build the app in a test. It repeats the last user message, so an answer shows whose it is; a `response_format`
with a JSON schema gets the smallest valid instance. Adapters are loaded and the engine sleeps as vLLM does it (see
`stub_administration`). `GET /stub/requests` tells what was asked and how each request ended;
`POST /stub/exit` makes the process die at once, as a crash would.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # when run as a program

from tests.support.schema_instance import smallest_instance
from tests.support.stub_administration import StubAdministration, end_noted, note_start

FINGERPRINT = "stub-0.32.0-12345678"
_ENDLESS_TOKENS = 64  # how much an answer that ignores its end says when it may say anything


@dataclass(frozen=True)
class StubTimes:
    first_token_delay_seconds: float = 0.0
    token_delay_seconds: float = 0.0


@dataclass
class Asked:
    """One generation request. `outcome` is running, completed, disconnected or rejected."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]
    outcome: str = "running"
    tokens_sent: int = 0


@dataclass
class StubEngine:
    """What the stub serves and what it has seen; `app` is its ASGI app."""

    model: str = "smollm2-135m-instruct"
    max_model_len: int = 2048
    times: StubTimes = field(default_factory=StubTimes)
    asked: list[Asked] = field(default_factory=list)
    breaks_on: str | None = None  # words that make the engine fail, wherever they stand in a request
    administration: StubAdministration = field(default_factory=StubAdministration)

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self._generate, methods=["POST"]),
                Route("/v1/completions", self._generate, methods=["POST"]),
                Route("/v1/embeddings", self._embed, methods=["POST"]),
                Route("/tokenize", self._tokenize, methods=["POST"]),
                Route("/v1/models", self._models),
                Route("/health", self._health),
                Route("/metrics", self._metrics),
                Route("/stub/requests", self._requests),
                Route("/stub/exit", self._exit, methods=["POST"]),
                *self.administration.routes,
            ]
        )

    async def _generate(self, request: Request) -> Response:
        asked = Asked(path=request.url.path, body=await request.json(), headers=dict(request.headers))
        self.asked.append(asked)
        if problem := self._problem(asked.body):
            asked.outcome = "rejected"
            return problem
        answer = Answer.to(asked, self)
        if asked.body.get("stream"):
            return AnswerStream(answer, self.times)
        return WholeAnswer(answer, self.times)

    def _problem(self, body: dict[str, Any]) -> Response | None:
        if self.administration.is_asleep:
            return _error(500, "EngineCore is asleep.", "InternalServerError")
        if body.get("model") != self.model and body.get("model") not in self.administration.adapters:
            return _error(404, f"The model `{body.get('model')}` does not exist.", "NotFoundError")
        if self.breaks_on is not None and self.breaks_on in json.dumps(body):
            return _error(500, "EngineCore encountered an issue.", "InternalServerError")
        if not _prompt_words(body):
            return _error(400, "messages or prompt: expected at least one word", "BadRequestError")
        room = self.max_model_len - len(_prompt_words(body))
        if _asked_tokens(body, default=1) > room or room < 1:
            message = f"This model's maximum context length is {self.max_model_len} tokens."
            return _error(400, message, "BadRequestError")
        return None

    async def _embed(self, request: Request) -> Response:
        body = await request.json()
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        data = [
            {"object": "embedding", "index": index, "embedding": [float(len(text)), 1.0]}
            for index, text in enumerate(texts)
        ]
        words = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": words, "total_tokens": words, "completion_tokens": 0}
        return JSONResponse({"object": "list", "model": body["model"], "data": data, "usage": usage})

    async def _tokenize(self, request: Request) -> Response:
        body = await request.json()
        words = _prompt_words(body)
        tokens = list(range(len(words)))
        return JSONResponse({"count": len(words), "max_model_len": self.max_model_len, "tokens": tokens})

    async def _models(self, request: Request) -> Response:
        card = {"id": self.model, "object": "model", "created": 0, "owned_by": "stub"}
        return JSONResponse({"object": "list", "data": [card | {"max_model_len": self.max_model_len}]})

    async def _health(self, request: Request) -> Response:
        return Response()

    async def _metrics(self, request: Request) -> Response:
        running = sum(asked.outcome == "running" for asked in self.asked)
        tokens = sum(asked.tokens_sent for asked in self.asked)
        return PlainTextResponse(
            "# HELP vllm:num_requests_running Number of requests in model execution batches.\n"
            "# TYPE vllm:num_requests_running gauge\n"
            f'vllm:num_requests_running{{engine="0",model_name="{self.model}"}} {running}.0\n'
            "# HELP vllm:generation_tokens_total Number of generation tokens processed.\n"
            "# TYPE vllm:generation_tokens_total counter\n"
            f'vllm:generation_tokens_total{{engine="0",model_name="{self.model}"}} {tokens}.0\n'
        )

    async def _requests(self, request: Request) -> Response:
        return JSONResponse([vars(asked) for asked in self.asked])

    async def _exit(self, request: Request) -> Response:
        os._exit(1)


@dataclass
class Answer:
    """The pieces to send for one request, in vLLM's shapes."""

    asked: Asked
    id: str
    pieces: list[str]
    finish_reason: str
    prompt_tokens: int

    @classmethod
    def to(cls, asked: Asked, engine: StubEngine) -> "Answer":
        words = _prompt_words(asked.body)
        endless = bool(asked.body.get("ignore_eos"))
        limit = _asked_tokens(asked.body, default=_ENDLESS_TOKENS if endless else engine.max_model_len)
        if schema := _guided_schema(asked.body):
            text = json.dumps(smallest_instance(schema))
            pieces = [text[i : i + 8] for i in range(0, len(text), 8)]
        elif endless:
            pieces = [f"{words[i % len(words)]} " for i in range(limit)]
        else:
            pieces = ["You", " said:", *(f" {word}" for word in _last_user_words(asked.body))]
        finish_reason = "length" if len(pieces) > limit else "stop"
        number = len(engine.asked)
        return cls(asked, f"chatcmpl-stub-{number}", pieces[:limit], finish_reason, len(words))

    @property
    def is_chat(self) -> bool:
        return self.asked.path.endswith("chat/completions")

    def usage(self) -> dict[str, int]:
        done = self.asked.tokens_sent
        return {
            "prompt_tokens": self.prompt_tokens,
            "total_tokens": self.prompt_tokens + done,
            "completion_tokens": done,
        }

    def document(self, choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        kind = "chat.completion" if self.is_chat else "text_completion"
        chunk = ".chunk" if self.is_chat and self.asked.body.get("stream") else ""
        head = {
            "id": self.id,
            "object": kind + chunk,
            "created": int(time.time()),
            "model": self.asked.body["model"],
        }
        return head | {"choices": choices} | more

    def choice(
        self, text: str | None, finish_reason: str | None = None, *, role: bool = False
    ) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": finish_reason}
        if not self.is_chat:
            return choice | {"text": text or ""}
        spoken = ({"role": "assistant"} if role else {}) | ({} if text is None else {"content": text})
        return choice | {"delta" if self.asked.body.get("stream") else "message": spoken}


class _Abortable(Response):
    """A response that notices at once when the client leaves, as vLLM does."""

    def __init__(self, answer: Answer, times: StubTimes) -> None:
        super().__init__()
        self.answer, self.times = answer, times

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        work = asyncio.create_task(self.produce(scope, receive, send))
        leaving = asyncio.create_task(_until_disconnect(receive))
        await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
        self.answer.asked.outcome = "completed" if work.done() and not work.exception() else "disconnected"
        for task in (work, leaving):
            task.cancel()
        await asyncio.gather(work, leaving, return_exceptions=True)

    async def produce(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError

    async def paced_pieces(self) -> AsyncIterator[str]:
        for position, piece in enumerate(self.answer.pieces):
            delay = self.times.token_delay_seconds if position else self.times.first_token_delay_seconds
            await asyncio.sleep(delay)
            self.answer.asked.tokens_sent += 1
            yield piece


class WholeAnswer(_Abortable):
    async def produce(self, scope: Scope, receive: Receive, send: Send) -> None:
        text = "".join([piece async for piece in self.paced_pieces()])
        choice = self.answer.choice(text, self.answer.finish_reason, role=True)
        await JSONResponse(self.answer.document([choice], usage=self.answer.usage()))(scope, receive, send)


class AnswerStream(_Abortable):
    async def produce(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for document in self._documents():
            await _send_event(send, json.dumps(document, separators=(",", ":")))
        await _send_event(send, "[DONE]")
        await send({"type": "http.response.body", "body": b""})

    async def _documents(self) -> AsyncIterator[dict[str, Any]]:
        answer = self.answer
        options = answer.asked.body.get("stream_options") or {}
        is_told = bool(options.get("include_usage"))
        is_told_always = is_told and bool(options.get("continuous_usage_stats"))

        def now() -> dict[str, Any]:
            return {"usage": answer.usage()} if is_told_always else {}

        if answer.is_chat:
            yield answer.document([answer.choice("", role=True)], **now())
        async for piece in self.paced_pieces():
            yield answer.document([answer.choice(piece)], **now())
        stamp = {"system_fingerprint": FINGERPRINT}
        yield answer.document(
            [answer.choice(None, answer.finish_reason)], **now(), **({} if is_told else stamp)
        )
        if is_told:  # vLLM stamps the last event of a stream, whichever that is
            yield answer.document([], usage=answer.usage(), **stamp)


async def _send_event(send: Send, data: str) -> None:
    body = f"data: {data}\n\n".encode()
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _error(status: int, message: str, kind: str) -> Response:
    error = {"message": message, "type": kind, "param": None, "code": status}
    return JSONResponse({"error": error}, status_code=status)


def _asked_tokens(body: dict[str, Any], default: int) -> int:
    return int(body.get("max_completion_tokens") or body.get("max_tokens") or default)


def _guided_schema(body: dict[str, Any]) -> dict[str, Any] | None:
    wanted = body.get("response_format") or {}
    return wanted["json_schema"]["schema"] if wanted.get("type") == "json_schema" else None


def _prompt_words(body: dict[str, Any]) -> list[str]:
    texts = [str(message.get("content") or "") for message in body.get("messages") or []]
    return " ".join([*texts, str(body.get("prompt") or "")]).split()


def _last_user_words(body: dict[str, Any]) -> list[str]:
    said = [message for message in body.get("messages") or [] if message.get("role") == "user"]
    return _prompt_words({"messages": said[-1:], "prompt": body.get("prompt")})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8801)
    parser.add_argument("--served-model-name", default=StubEngine.model)
    parser.add_argument("--max-model-len", type=int, default=StubEngine.max_model_len)
    parser.add_argument("--token-delay-seconds", type=float, default=0.0)
    parser.add_argument("--first-token-delay-seconds", type=float, default=0.0)
    parser.add_argument(
        "--start-delay-seconds", type=float, default=0.0, help="how long loading pretends to take"
    )
    parser.add_argument("--start-log", type=Path, help="file whose lines are printed at each start")
    parser.add_argument("--child-process", action="store_true", help="start a child that ignores SIGTERM")
    parser.add_argument(
        "--failing-start-log", type=Path, help="file; while it exists, a start prints it and fails"
    )
    parser.add_argument(
        "--note-starts", type=Path, help="file to add the served name to at each start and end"
    )
    parser.add_argument("--max-lora-rank", type=int, default=16)
    options, _ = parser.parse_known_args()
    if options.child_process:
        ignoring = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        child = subprocess.Popen([sys.executable, "-c", ignoring])
        sys.stdout.write(f"child process {child.pid}\n")
        sys.stdout.flush()
    if options.failing_start_log and options.failing_start_log.exists():
        sys.exit(options.failing_start_log.read_text())
    if options.note_starts:
        note_start(options.note_starts, options.served_model_name)
    if options.start_log:
        sys.stdout.write(options.start_log.read_text())
        sys.stdout.flush()
    time.sleep(options.start_delay_seconds)
    times = StubTimes(options.first_token_delay_seconds, options.token_delay_seconds)
    administration = StubAdministration(options.max_lora_rank)
    engine = StubEngine(
        options.served_model_name, options.max_model_len, times, administration=administration
    )
    app = engine.app
    if options.note_starts:
        end_noted(app, options.note_starts, options.served_model_name)
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
