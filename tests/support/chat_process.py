"""Runs the real chat service as a process of its own, in front of a stub engine that lives in the test's process."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from httpx_sse import ServerSentEvent, aconnect_sse
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from tests.support.bound_process import bound_to_this_process
from tests.support.ports import free_port
from tests.support.stub_engine import Asked, StubEngine, StubTimes
from tests.support.waiting import wait_until

START_SECONDS = 120.0
STOP_SECONDS = 60.0
PROGRAM = str(Path(sys.executable).parent / "tandem-chat")
PROJECT = "chat-tests"


class _ConnectionCutError(Exception):
    pass


class StubInference:
    """The stub engine behind an address that can be shut, be busy, or cut its answers; `engine.times` set the pace."""

    def __init__(self) -> None:
        self.engine = StubEngine()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.is_ready = True
        self.cut_after_bytes: int | None = None
        self._app = self.engine.app

    def start(self) -> None:
        config = uvicorn.Config(self, host="127.0.0.1", port=self.port, log_level="critical", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="stub-inference", daemon=True)
        self._thread.start()
        wait_until("the stub engine to listen", lambda: self._server.started)

    def stop(self) -> None:
        """Shut the address, as a crash of the inference service would."""
        self._server.force_exit = True
        self._server.should_exit = True
        self._thread.join(timeout=STOP_SECONDS)

    def pace(self, *, token_delay_seconds: float = 0.0, first_token_delay_seconds: float = 0.0) -> None:
        self.engine.times = StubTimes(first_token_delay_seconds, token_delay_seconds)

    def asked(self, content: str) -> Asked:
        """Return the latest request whose last message is `content`."""
        return next(
            asked
            for asked in reversed(self.engine.asked)
            if asked.body.get("messages", [{}])[-1].get("content") == content
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.is_ready:
            await JSONResponse(
                {"detail": "the engine is loading its model"}, 503, headers={"Retry-After": "7"}
            )(scope, receive, send)
        elif scope["path"] == "/ready":
            await JSONResponse({"status": "ready"})(scope, receive, send)
        else:
            await self._app(scope, receive, self._cutting(send))

    def _cutting(self, send: Send) -> Send:
        sent = 0

        async def cut_when_due(message: Message) -> None:
            nonlocal sent
            if self.cut_after_bytes is not None and sent > self.cut_after_bytes:
                raise _ConnectionCutError
            sent += len(message.get("body", b""))
            await send(message)

        return cut_when_due


def new_token(chat: "ChatProcess", *words: str) -> str:
    """Make an API key as an operator would, and return its token."""
    code, said = chat.run("keys", "create", *words)
    assert code == 0, said
    return next(line for line in said.splitlines() if line.startswith("tandem_"))


class ChatProcess:
    """One chat service, with a log of its own; it can be killed, stopped and started again on the same database."""

    def __init__(
        self, folder: Path, *, database_url: str, inference_url: str, emulator_host: str | None = None
    ) -> None:
        self._log = folder / "chat.log"
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TANDEM_", "PUBSUB_", "OTEL_"))}
        self._environment = {
            **kept,
            "TANDEM_CHAT_PORT": str(self._port),
            "TANDEM_CHAT_DATABASE_URL": database_url,
            "TANDEM_CHAT_INFERENCE_URL": inference_url,
            "TANDEM_CHAT_SWEEP_EVERY_SECONDS": "0.2",
            "TANDEM_CHAT_PUBSUB_PROJECT": PROJECT,
            # Without an emulator the broker is simply down: chat has to work all the same.
            "PUBSUB_EMULATOR_HOST": emulator_host or f"127.0.0.1:{free_port()}",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def migrate(self) -> None:
        code, said = self.run("migrate")
        assert code == 0, said

    def run(self, *words: str, **settings: str) -> tuple[int, str]:
        """Run a command to its end; return its exit code and all that it said."""
        done = subprocess.run(
            [PROGRAM, *words],
            env={**self._environment, **settings},
            cwd=self._log.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=START_SECONDS,
        )
        return done.returncode, done.stdout

    def start(self, **settings: str) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*bound_to_this_process(signal.SIGKILL), PROGRAM, "serve"],
                env={**self._environment, **settings},
                cwd=self._log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"chat did not start:\n{self.log()[-3000:]}", pytrace=False)
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        """Ask it to stop and return its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout=STOP_SECONDS)

    def stop(self) -> None:
        """End it in whatever state a test has left it."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200
        except httpx.TransportError:
            return False


@dataclass
class Answer:
    """A stream of a reply, read to its end."""

    events: list[ServerSentEvent]

    @property
    def text(self) -> str:
        return "".join(event.json()["text"] for event in self.deltas)

    @property
    def deltas(self) -> list[ServerSentEvent]:
        return [event for event in self.events if event.event == "delta"]

    @property
    def reply(self) -> dict[str, Any]:
        """The reply as the last event shows it."""
        last = self.events[-1]
        assert last.event == "end", f"expected the stream to finish with `end`, got {last.event}"
        shown: dict[str, Any] = last.json()["reply"]
        return shown


class WebApp:
    """What a web app does with chat over HTTP."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def new_conversation(self) -> str:
        response = await self.http.post("/v1/conversations")
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    async def read(self, conversation_id: str) -> dict[str, Any]:
        response = await self.http.get(f"/v1/conversations/{conversation_id}")
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    async def reply(self, reply_id: str) -> dict[str, Any]:
        response = await self.http.get(f"/v1/replies/{reply_id}")
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    @asynccontextmanager
    async def posting(
        self, conversation_id: str, content: str
    ) -> AsyncIterator[AsyncIterator[ServerSentEvent]]:
        """Post a message and give its stream; leaving the block closes the connection."""
        path = f"/v1/conversations/{conversation_id}/messages"
        async with aconnect_sse(self.http, "POST", path, json={"content": content}) as source:
            assert source.response.status_code == 200, await source.response.aread()
            yield source.aiter_sse()

    async def ask(self, conversation_id: str, content: str) -> Answer:
        """Post a message and read its reply to the end."""
        async with self.posting(conversation_id, content) as events:
            return Answer([event async for event in events])

    async def begin(self, conversation_id: str, content: str) -> str:
        """Post a message, leave after the first text, and return the reply's id."""
        async with self.posting(conversation_id, content) as events:
            begun = await anext(events)
            assert begun.event == "reply"
            await anext(events)
            return str(begun.json()["reply"]["id"])

    async def follow(self, reply_id: str, **request: Any) -> Answer:
        """Read a reply's stream to its end."""
        async with aconnect_sse(self.http, "GET", f"/v1/replies/{reply_id}/events", **request) as source:
            assert source.response.status_code == 200, await source.response.aread()
            return Answer([event async for event in source.aiter_sse()])

    async def until_stored(self, reply_id: str, *, seconds: float = 20.0) -> str:
        """Return the first text of a reply that is in the database, not only on its way."""
        deadline = time.monotonic() + seconds
        while not (content := (await self.reply(reply_id))["content"]):
            if time.monotonic() > deadline:
                pytest.fail(f"no text was stored within {seconds:.0f} s", pytrace=False)
            await asyncio.sleep(0.05)
        return str(content)

    async def until_ended(self, reply_id: str, *, seconds: float = 20.0) -> dict[str, Any]:
        """Return the reply once it is in a final state."""
        deadline = time.monotonic() + seconds
        while (reply := await self.reply(reply_id))["state"] in ("queued", "running"):
            if time.monotonic() > deadline:
                pytest.fail(f"the reply was still {reply['state']} after {seconds:.0f} s", pytrace=False)
            await asyncio.sleep(0.05)
        return reply


@asynccontextmanager
async def web_app(chat: ChatProcess) -> AsyncIterator[WebApp]:
    async with httpx.AsyncClient(base_url=chat.url, timeout=30, trust_env=False) as http:
        yield WebApp(http)
