"""One life of an engine: its process from the start to the end, and why it ended. Another life is the supervisor's decision."""

import asyncio
import logging
import signal
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from tandem_inference.engines.declaration import Engine
from tandem_inference.engines.engine_client import EngineClient
from tandem_inference.engines.engine_log import read_line
from tandem_inference.engines.engine_process import EngineProcess
from tandem_inference.engines.health_watch import HangLimits
from tandem_inference.engines.ports import refuse_taken_port
from tandem_inference.engines.start_failures import explain_start
from tandem_inference.engines.start_record import StartRecord
from tandem_inference.engines.vllm_command import LOOPBACK, engine_command, engine_environment
from tandem_inference.errors import StartError

logger = logging.getLogger(__name__)

_HEALTH_EVERY_SECONDS = 0.25


@dataclass(frozen=True)
class SupervisionLimits:
    """How engines are started and how long they may take. Times in seconds.

    `sleep_mode` says that engines on demand sleep with their process; otherwise they are stopped.
    """

    program: tuple[str, ...]
    start_timeout_seconds: float
    stop_grace_seconds: float
    hang: HangLimits = field(default_factory=HangLimits)
    drain_seconds: float = 60.0
    sleep_mode: bool = False


@dataclass(frozen=True)
class Ended:
    """Why a life ended. A `passing` reason may be gone the next time; `proposal` changes the engines' file."""

    reason: str
    proposal: str | None = None
    passing: bool = True


class EngineLife:
    """Start it, wait for its health, let it run, stop it: in this order, and once."""

    def __init__(self, declared: Engine, port: int, limits: SupervisionLimits) -> None:
        self.record = StartRecord()
        self._declared = declared
        self._port = port
        self._limits = limits
        self._process: EngineProcess | None = None
        self._exited: asyncio.Task[int] | None = None

    @property
    def sleep_mode(self) -> bool:
        """Whether this engine sleeps with its process."""
        return self._limits.sleep_mode and self._declared.on_demand is not None

    async def until_healthy(self, client: EngineClient) -> Ended | None:
        """Start the process; return None once it answers its health check, else why it does not."""
        try:
            refuse_taken_port(
                LOOPBACK, self._port, what="The engine", setting="TANDEM_INFERENCE_ENGINE_FIRST_PORT"
            )
            self._process = await self._start()
        except (StartError, OSError) as error:
            return Ended(str(error))
        self._exited = asyncio.create_task(self._process.wait())
        ended = await self._first_of(
            _until_healthy(client), timeout_seconds=self._limits.start_timeout_seconds
        )
        return ended if ended is None or not self._exited.done() else self._explained(ended)

    async def until_ended(self, *works: Coroutine[Any, Any, Ended | None]) -> Ended | None:
        """Run `works` until the process ends or one of them returns; return why, or what that one returned."""
        return await self._first_of(*works, timeout_seconds=None)

    async def stop(self) -> None:
        """End every process of this life. Goes on to the end when it is cancelled: nobody else would stop them."""
        stopping = asyncio.create_task(self._stop())
        try:
            await asyncio.shield(stopping)
        except asyncio.CancelledError:
            await stopping
            raise

    async def _stop(self) -> None:
        if self._process is not None:
            await self._process.stop(self._limits.stop_grace_seconds)
        if self._exited is not None:
            await asyncio.gather(self._exited, return_exceptions=True)

    async def _start(self) -> EngineProcess:
        command = engine_command(self._declared, self._port, self._limits.program, sleep_mode=self.sleep_mode)
        environment = engine_environment(self._declared, sleep_mode=self.sleep_mode)
        process = await EngineProcess.start(command, environment, self._log_line)
        self.record.process_group = process.pid
        facts = {"engine": self._declared.name, "pid": process.pid, "port": self._port}
        logger.info("engine.starting", extra=facts | {"command": " ".join(command)})
        return process

    async def _first_of(
        self, *works: Coroutine[Any, Any, Ended | None], timeout_seconds: float | None
    ) -> Ended | None:
        if self._process is None or self._exited is None:
            raise RuntimeError("the process has not been started")
        tasks = [asyncio.create_task(work) for work in works]
        try:
            done, _ = await asyncio.wait(
                {self._exited, *tasks}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            last = f"last line: {self._process.last_complaint()}"
            if self._exited in done:
                return Ended(f"it ended with {_in_words(self._exited.result())}; {last}")
            if not done:
                return Ended(f"it did not answer GET /health within {timeout_seconds:g} s; {last}")
            return next(task.result() for task in tasks if task in done)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _explained(self, ended: Ended) -> Ended:
        lines: Sequence[str] = tuple(self.record.lines)
        failure = explain_start(self._declared, lines)
        if failure is None:
            return ended
        facts = {"engine": self._declared.name, "symptom": failure.symptom, "reason": failure.sentence}
        logger.error("engine.start_failed", extra=facts | {"proposal": failure.proposal})
        return Ended(failure.sentence, failure.proposal, failure.passing)

    def _log_line(self, line: str) -> None:
        self.record.add(line)
        level, text = read_line(line)
        logger.log(level, "engine.log", extra={"engine": self._declared.name, "line": text})


async def _until_healthy(client: EngineClient) -> None:
    while True:
        if await client.is_healthy():
            return
        await asyncio.sleep(_HEALTH_EVERY_SECONDS)


def _in_words(exit_code: int) -> str:
    number = (
        exit_code - 128 if exit_code > 128 else -exit_code
    )  # a shell's way, and Python's, to tell of a signal
    try:
        return f"exit code {exit_code} ({signal.Signals(number).name})"
    except ValueError:
        return f"exit code {exit_code}"
