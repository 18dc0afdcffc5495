"""The stub engine behind a real socket, in a thread of the test: what it was asked can be looked at directly."""

import threading

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.ports import free_port
from tests.support.stub_engine import StubEngine, StubTimes
from tests.support.waiting import wait_until


class EngineServer:
    """An inference service whose engine is the stub. The port is taken from the start, served from `start` on."""

    def __init__(self) -> None:
        self.engine = StubEngine()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def answer_slowly(self, token_delay_seconds: float) -> None:
        self.engine.times = StubTimes(token_delay_seconds=token_delay_seconds)

    def start(self) -> None:
        app = self.engine.app
        app.router.routes.append(Route("/ready", _ready))
        config = uvicorn.Config(
            app, host="127.0.0.1", port=self.port, log_config=None, timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_until("the stub engine listens", lambda: self._server is not None and self._server.started)

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(timeout=10)


async def _ready(request: Request) -> Response:
    return JSONResponse({"status": "ready"})
