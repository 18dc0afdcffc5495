"""The stub engine as a process that can be told to misbehave, and that notes each generation in a file which outlives it.

`POST /chaos/mode` with a mode's name; to refuse connections it is killed. `POST /chaos/pace` sets seconds per generation.
"""

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # when run as a program

from tests.support.stub_engine import StubEngine, StubTimes

GENERATE = "/v1/chat/completions"
REQUEST_ID = re.compile(r"drill-[0-9a-z-]+")


class MisbehavingEngine:
    """An ASGI app around the stub."""

    def __init__(self, calls: Path, seconds: float) -> None:
        self._stub = StubEngine(
            max_model_len=32_768,
            times=StubTimes(first_token_delay_seconds=seconds),
            breaks_on="poison",
        )
        self._app = self._stub.app
        self._calls = calls.open("a", encoding="utf-8")
        self._mode = "serve"
        self._changed = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path.startswith("/chaos/"):
            await self._control(path, Request(scope, receive), send)
            return
        self._note(path, "asked", "")
        if path == "/ready" and self._mode == "serve":
            await JSONResponse({"status": "ready"})(scope, receive, send)
            return
        modes: dict[str, Callable[[Scope, Receive, Send], Awaitable[None]]] = {
            "serve": self._serve,
            "away": self._away,
            "broken": self._broken,
            "hang": self._hang,
            "cut": self._cut,
        }
        await modes[self._mode](scope, receive, send)

    async def _control(self, path: str, request: Request, send: Send) -> None:
        told: Any = await request.json() if request.method == "POST" else None
        if path == "/chaos/mode":
            self._mode = told
            self._changed.set()
            self._changed = asyncio.Event()
        elif path == "/chaos/pace":
            self._stub.times = StubTimes(first_token_delay_seconds=told)
        running = sum(asked.outcome == "running" for asked in self._stub.asked)
        await JSONResponse({"running": running})(request.scope, request.receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if scope["path"] == GENERATE and (found := REQUEST_ID.search(body.decode(errors="replace"))):
            self._note(scope["path"], "generation", found[0])
        given = False

        async def once_more() -> dict[str, object]:
            nonlocal given
            if given:
                return dict(await receive())
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, once_more, send)

    async def _away(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = JSONResponse({"detail": "the engine is starting"}, 503, headers={"Retry-After": "1"})
        await answer(scope, receive, send)

    async def _broken(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != GENERATE:
            await self._serve(scope, receive, send)
            return
        await JSONResponse({"error": {"message": "CUDA error"}}, 500)(scope, receive, send)

    async def _hang(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say nothing until the mode changes, as when a watch restarts an engine that hangs: then the connection ends."""
        await self._changed.wait()
        raise ConnectionError

    async def _cut(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"choices": [', "more_body": True})
        raise ConnectionError

    def _note(self, path: str, kind: str, request_id: str) -> None:
        line = {"at": asyncio.get_running_loop().time(), "path": path, "kind": kind, "id": request_id}
        self._calls.write(json.dumps(line) + "\n")
        self._calls.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--calls", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=0.0)
    options = parser.parse_args()
    app = MisbehavingEngine(options.calls, options.seconds)
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="critical", lifespan="off")


if __name__ == "__main__":
    main()
