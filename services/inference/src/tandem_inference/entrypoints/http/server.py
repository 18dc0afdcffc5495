"""Runs the app with uvicorn until SIGTERM or SIGINT, which are an ordinary end here and no failure; SIGHUP is passed on."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI


class _Server(uvicorn.Server):
    """uvicorn itself would raise the signal again once it has stopped, and the exit code would tell of a failure."""

    def __init__(self, config: uvicorn.Config, on_hangup: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_hangup = on_hangup
        self._had_terminal = _has_terminal()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        yield

    def _hang_up(self) -> None:
        """The signal also comes when the terminal closes that the service runs in: nobody is there to stop it later."""
        if self._had_terminal and not _has_terminal():
            self.handle_exit(signal.SIGHUP, None)
        else:
            self._on_hangup()


def run_until_told_to_stop(
    app: FastAPI, host: str, port: int, *, close_connections_seconds: int, on_hangup: Callable[[], None]
) -> None:
    """Serve `app`; on the first signal stop listening, give running answers a moment, then end the app.

    SIGHUP calls `on_hangup` instead, unless it tells that the terminal has gone.

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
    server = _Server(config, on_hangup)
    server.run()
    if not server.started:
        sys.exit(1)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
