"""One run of one engine: a group of operating-system processes and the lines that they print.

Restarting is the supervisor's decision; see `supervised_engine`.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from tandem_inference.engines import keeper
from tandem_inference.engines.output_lines import OutputLines

_KEEPER = str(Path(keeper.__file__))
_GONE_CHECK_SECONDS = 0.05
_GONE_TIMEOUT_SECONDS = 5.0


class _Watch(asyncio.SubprocessProtocol):
    """Notices the keeper's end as such: waiting for its output to end would wait for children that hold it open."""

    def __init__(self, lines: OutputLines) -> None:
        self.exited = asyncio.Event()
        self.output_ended = asyncio.Event()
        self._lines = lines

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._lines.feed(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1:
            self._lines.end()
            self.output_ended.set()

    def process_exited(self) -> None:
        self.exited.set()


class EngineProcess:
    """A running engine with its keeper and all children, in one process group of its own."""

    def __init__(self, transport: asyncio.SubprocessTransport, watch: _Watch, lines: OutputLines) -> None:
        self._transport = transport
        self._watch = watch
        self._lines = lines
        self.pid = transport.get_pid()  # the keeper's, which is also the id of the group
        self._ended: asyncio.Task[int] = asyncio.create_task(self._clear_away_after_exit())

    @classmethod
    async def start(
        cls, command: Sequence[str], environment: Mapping[str, str], on_line: Callable[[str], None]
    ) -> Self:
        """Start `command`; `on_line` receives each line that it prints."""
        lines = OutputLines(on_line)
        transport, watch = await asyncio.get_running_loop().subprocess_exec(
            lambda: _Watch(lines),
            *(sys.executable, "-I", "-S", _KEEPER),  # needs neither site-packages nor PYTHONPATH
            *command,
            env=dict(environment),
            stdin=asyncio.subprocess.PIPE,  # held open for life: see keeper
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        return cls(transport, watch, lines)

    def last_complaint(self) -> str:
        """The last line printed that looks like an error, else the last line."""
        return self._lines.last_complaint()

    async def wait(self) -> int:
        """Return the exit code once the engine has ended and every process of its group is gone."""
        return await asyncio.shield(self._ended)

    async def stop(self, grace_seconds: float) -> None:
        """Ask the engine to stop, and kill its whole group when it has not within `grace_seconds`. Idempotent."""
        if not self._watch.exited.is_set():
            self._transport.send_signal(signal.SIGTERM)
            await asyncio.wait({self._ended}, timeout=grace_seconds)
            self._kill_group()
        await self.wait()

    def _kill_group(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    async def _clear_away_after_exit(self) -> int:
        await self._watch.exited.wait()
        self._kill_group()  # vLLM's children outlive a parent that was killed
        try:
            async with asyncio.timeout(_GONE_TIMEOUT_SECONDS):
                await self._until_group_gone()
                await self._watch.output_ended.wait()
        except TimeoutError:
            pass  # an init that does not reap its children keeps their names; they run no more
        self._transport.close()
        return self._transport.get_returncode() or 0

    async def _until_group_gone(self) -> None:
        while True:
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                return
            await asyncio.sleep(_GONE_CHECK_SECONDS)
