"""Runs the app with uvicorn until SIGTERM or SIGINT, which are an ordinary end here and no failure."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI


class _Server(uvicorn.Server):
    """uvicorn itself would raise the signal again once it has stopped, and the exit code would tell of a failure."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def run_until_told_to_stop(app: FastAPI, host: str, port: int, *, close_connections_seconds: int) -> None:
    """Serve `app`; on the first signal stop listening, give running answers a moment, then end the app.

    Exits the process with 1 when the app or its port could not be had; the log tells why.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=close_connections_seconds,
    )
    server = _Server(config)
    server.run()
    if not server.started:
        sys.exit(1)
