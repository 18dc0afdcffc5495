"""One run of one engine: a group of operating-system processes and the lines that they print.

Restarting is the supervisor's decision; see `supervised_engine`.
"""

import asyncio
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from tandem_inference.engines import keeper

_KEEPER = str(Path(keeper.__file__))
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LINE_ENDS = re.compile(rb"[\r\n]+")
_CHUNK_BYTES = 65536
_LONGEST_LINE = 4000
_GONE_CHECK_SECONDS = 0.05
_GONE_TIMEOUT_SECONDS = 5.0


class EngineProcess:
    """A running engine with its keeper and all children, in one process group of its own."""

    def __init__(self, process: asyncio.subprocess.Process, on_line: Callable[[str], None]) -> None:
        self._process = process
        self._output = _piped(process.stdout)
        self._on_line = on_line
        self._last_lines: deque[str] = deque(maxlen=40)
        self._reading = asyncio.create_task(self._read_lines())
        self._ended: asyncio.Task[int] = asyncio.create_task(self._clear_away_after_exit())

    @classmethod
    async def start(
        cls, command: Sequence[str], environment: Mapping[str, str], on_line: Callable[[str], None]
    ) -> Self:
        """Start `command`; `on_line` receives each line that it prints."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", _KEEPER),  # needs neither site-packages nor PYTHONPATH
            *command,
            env=dict(environment),
            stdin=asyncio.subprocess.PIPE,  # held open for life: see keeper
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        return cls(process, on_line)

    @property
    def pid(self) -> int:
        """Process id of the keeper, which is also the id of the group."""
        return self._process.pid

    def last_complaint(self) -> str:
        """The last line printed that looks like an error, else the last line."""
        lines = list(self._last_lines)
        errors = [line for line in lines if "Error" in line or "error:" in line]
        return (errors or lines or ["it printed nothing"])[-1]

    async def wait(self) -> int:
        """Return the exit code once the engine has ended and every process of its group is gone."""
        return await asyncio.shield(self._ended)

    async def stop(self, grace_seconds: float) -> None:
        """Ask the engine to stop, and kill its whole group when it has not within `grace_seconds`. Idempotent."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            await asyncio.wait({self._ended}, timeout=grace_seconds)
            self._kill_group()
        await self.wait()

    def _kill_group(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    async def _clear_away_after_exit(self) -> int:
        code = await self._process.wait()
        self._kill_group()  # vLLM's children outlive a parent that was killed
        await self._until_group_gone()
        await asyncio.wait({self._reading}, timeout=_GONE_TIMEOUT_SECONDS)
        self._reading.cancel()
        return code

    async def _until_group_gone(self) -> None:
        deadline = asyncio.get_running_loop().time() + _GONE_TIMEOUT_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                return
            await asyncio.sleep(_GONE_CHECK_SECONDS)

    async def _read_lines(self) -> None:
        unfinished = b""
        while chunk := await self._output.read(_CHUNK_BYTES):
            *lines, unfinished = _LINE_ENDS.split(unfinished + chunk)
            for line in lines:
                self._tell(line)
            if len(unfinished) > _LONGEST_LINE:
                self._tell(unfinished)
                unfinished = b""
        self._tell(unfinished)

    def _tell(self, raw: bytes) -> None:
        line = _COLOURS.sub("", raw.decode("utf-8", errors="replace")).strip()[:_LONGEST_LINE]
        if line:
            self._last_lines.append(line)
            self._on_line(line)


def _piped(stream: asyncio.StreamReader | None) -> asyncio.StreamReader:
    if stream is None:
        raise TypeError("the engine's output is not piped to this process")
    return stream
