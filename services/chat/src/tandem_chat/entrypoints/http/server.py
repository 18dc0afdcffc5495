"""Runs the app with uvicorn until SIGTERM or SIGINT, which are an ordinary end here and no failure."""

import asyncio
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI


class _Server(uvicorn.Server):
    """uvicorn itself would raise the signal again once it has stopped, and the exit code would tell of a failure.

    It would also cut open streams in the middle; `end_streams` lets each end with what it has to say.
    """

    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._end_streams()
        await super().shutdown(sockets)


def run_until_told_to_stop(
    app: FastAPI,
    host: str,
    port: int,
    *,
    end_streams: Callable[[], Awaitable[None]],
    close_connections_seconds: int,
) -> None:
    """Serve `app`; on the first signal end the streams, give open connections a moment, then end the app.

    Exits the process with 1 when the app or its port could not be had; the log tells why.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=close_connections_seconds,
    )
    server = _Server(config, end_streams)
    server.run()
    if not server.started:
        sys.exit(1)
