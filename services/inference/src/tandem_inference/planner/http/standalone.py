"""The planner as an application of its own, for use without the inference service: `tandem-plan serve`."""

from __future__ import annotations

import signal

import uvicorn
from fastapi import FastAPI

from tandem_inference.planner.http.router import planner_router


def create_app(*, allow_hub: bool = False) -> FastAPI:
    app = FastAPI(title="GPU memory planner for vLLM", version="1")
    app.include_router(planner_router(allow_hub=allow_hub))
    return app


def serve(host: str, port: int) -> bool:
    """Serves until SIGTERM or SIGINT, which are an ordinary end; False if the port could not be had.

    uvicorn raises the signal again once it has stopped, so a handler that does nothing waits for it.
    """
    server = uvicorn.Server(uvicorn.Config(create_app(), host=host, port=port, log_level="warning"))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    try:
        server.run()
    except SystemExit:
        return False
    return server.started
