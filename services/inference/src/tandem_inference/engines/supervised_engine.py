"""Keeps one declared engine running: starts it, waits for its health, restarts it after a crash, stops it in order."""

import asyncio
import logging
import signal
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import httpx

from tandem_inference import metrics
from tandem_inference.engines.declaration import Engine
from tandem_inference.engines.engine_log import read_line
from tandem_inference.engines.engine_process import EngineProcess
from tandem_inference.engines.engine_state import GIVEN_UP, SETTLED, EngineState
from tandem_inference.engines.health_watch import HangLimits, HealthWatch
from tandem_inference.engines.plan_check import PlanCheck, PlanOutcome
from tandem_inference.engines.ports import refuse_taken_port
from tandem_inference.engines.requests_in_flight import RequestsInFlight
from tandem_inference.engines.restart_policy import RestartPolicy
from tandem_inference.engines.start_record import StartRecord
from tandem_inference.engines.vllm_command import LOOPBACK, engine_command, engine_environment
from tandem_inference.errors import EngineNotReadyError, StartError
from tandem_telemetry import names

__all__ = ["EngineState", "SupervisedEngine", "SupervisionLimits"]

logger = logging.getLogger(__name__)

_HEALTH_EVERY_SECONDS = 0.25
_HEALTH_TIMEOUT_SECONDS = 5.0
_RETRY_AFTER_STARTING_SECONDS = 5
_RETRY_AFTER_FAILED_SECONDS = 60


@dataclass(frozen=True)
class SupervisionLimits:
    """How engines are started and how long they may take. Times in seconds."""

    program: tuple[str, ...]
    start_timeout_seconds: float
    stop_grace_seconds: float
    hang: HangLimits = field(default_factory=HangLimits)


class SupervisedEngine:
    """One engine and its state, which anyone may read; only `run` changes it."""

    def __init__(
        self,
        declared: Engine,
        port: int,
        limits: SupervisionLimits,
        policy: RestartPolicy | None = None,
        plan_check: PlanCheck | None = None,
    ) -> None:
        self.declared = declared
        self.port = port
        self.state = EngineState.STARTING
        self.last_error: str | None = None
        self.restarts = 0
        self.in_flight = RequestsInFlight()
        self.settled = asyncio.Event()  # set once the first start has worked or been given up
        self.start: StartRecord | None = None  # of the process that runs now
        self.plan: PlanOutcome | None = None  # of the last start that has been compared
        self._changed = asyncio.Event()  # set, and replaced, at each change of state
        self._limits = limits
        self._policy = policy or RestartPolicy()
        self._plan_check = plan_check

    @property
    def base_url(self) -> str:
        """Where the engine listens."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def names(self) -> tuple[str, ...]:
        """The names that callers may use now: the model's, and those of the adapters that are ready."""
        return (self.declared.served_model_name,)

    def serves(self, model: str) -> bool:
        """Whether `model` is this engine's to answer, ready or not."""
        return model in self.names

    def use(self, model: str) -> AbstractContextManager[None]:
        """Count one request for `model` while the context is open, from its being sent to the end of its answer."""
        return self.in_flight.use(model)

    async def wait_until_ready(self, seconds: float, model: str | None = None) -> None:
        """Return once the engine (and its adapter `model`) can answer; wakes an engine that sleeps.

        Raises:
            EngineNotReadyError: it could not within `seconds`, or never will; tells the reason and when to ask again.
        """
        try:
            async with asyncio.timeout(seconds):
                while self.state is not EngineState.READY:
                    if self.state in GIVEN_UP:
                        raise self.not_ready()
                    await self._changed.wait()
        except TimeoutError:
            raise self.not_ready() from None

    def require_ready(self) -> None:
        """Raise EngineNotReadyError, telling the state and the reason, unless the engine is ready."""
        if self.state is not EngineState.READY:
            raise self.not_ready()

    def not_ready(self) -> EngineNotReadyError:
        """The error that tells why this engine cannot answer and when to ask again."""
        waits = self.state in {EngineState.STARTING, EngineState.RESTARTING, EngineState.READY}
        state = "no longer answering" if self.state is EngineState.READY else self.state.value
        reason = f": {self.last_error}" if self.last_error else ""
        advice = "Ask again later." if waits else "It is not started again by itself; read the service's log."
        return EngineNotReadyError(
            f"The engine {self.declared.name!r}, which serves {self.declared.served_model_name!r}, is {state}{reason}. {advice}",
            retry_after_seconds=_RETRY_AFTER_STARTING_SECONDS if waits else _RETRY_AFTER_FAILED_SECONDS,
        )

    async def run(self) -> None:
        """Keep the engine running until it is flapping; cancel to stop it and every process that it started."""
        self._enter(EngineState.STARTING)
        try:
            while True:
                self.last_error = await self._run_once()
                delay = self._policy.delay_after_crash(time.monotonic())
                facts = {"engine": self.declared.name, "reason": self.last_error}
                if delay is None:
                    logger.error("engine.flapping", extra=facts)
                    self._enter(EngineState.FAILED)
                    return
                logger.warning("engine.crashed", extra=facts | {"restart_in_seconds": delay})
                self.restarts += 1
                metrics.ENGINE_RESTARTS.add(1, {names.ENGINE: self.declared.name})
                self._enter(EngineState.RESTARTING)
                await asyncio.sleep(delay)
        except asyncio.CancelledError:
            self._enter(EngineState.STOPPED)
            raise
        except Exception as error:  # a mistake of this service must not take the other engines down
            logger.exception("engine.supervision_failed", extra={"engine": self.declared.name})
            self.last_error = f"supervising it failed: {error}"
            self._enter(EngineState.FAILED)

    async def _run_once(self) -> str:
        """Start the engine and return why it ended."""
        self.start, self.plan = StartRecord(), None
        try:
            refuse_taken_port(
                LOOPBACK, self.port, what="The engine", setting="TANDEM_INFERENCE_ENGINE_FIRST_PORT"
            )
            process = await self._start()
            self.start.process_group = process.pid
        except (StartError, OSError) as error:
            self.start = None
            return str(error)
        try:
            return await self._watch(process, self.start)
        finally:
            await process.stop(self._limits.stop_grace_seconds)
            self.start = None

    async def _start(self) -> EngineProcess:
        command = engine_command(self.declared, self.port, self._limits.program)
        process = await EngineProcess.start(command, engine_environment(self.declared), self._log_line)
        facts = {
            "engine": self.declared.name,
            "pid": process.pid,
            "port": self.port,
            "command": " ".join(command),
        }
        logger.info("engine.starting", extra=facts)
        return process

    async def _watch(self, process: EngineProcess, start: StartRecord) -> str:
        exited = asyncio.create_task(process.wait())
        healthy = asyncio.create_task(self._until_healthy())
        tasks: list[asyncio.Task[int] | asyncio.Task[str] | asyncio.Task[None]] = [exited, healthy]
        try:
            timeout = self._limits.start_timeout_seconds
            await asyncio.wait({exited, healthy}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if not exited.done():
                if not healthy.done():
                    return f"it did not answer GET /health within {timeout:g} s; last line: {process.last_complaint()}"
                lines = start.finish()
                facts = {"engine": self.declared.name, "start_seconds": start.start_seconds}
                logger.info("engine.ready", extra=facts)
                self._enter(EngineState.READY)
                tasks.append(asyncio.create_task(self._compare_plan(lines)))
                hung = asyncio.create_task(self._until_hung())
                tasks.append(hung)
                await asyncio.wait({exited, hung}, return_when=asyncio.FIRST_COMPLETED)
                if not exited.done():
                    return f"{hung.result()}; last line: {process.last_complaint()}"
            return f"it ended with {_in_words(await exited)}; last line: {process.last_complaint()}"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_healthy(self) -> None:
        async with httpx.AsyncClient(base_url=self.base_url, timeout=_HEALTH_TIMEOUT_SECONDS) as client:
            while True:
                try:
                    if (await client.get("/health")).is_success:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(_HEALTH_EVERY_SECONDS)

    async def _until_hung(self) -> str:
        limits = self._limits.hang
        async with httpx.AsyncClient(
            base_url=self.base_url, timeout=limits.pause_seconds, trust_env=False
        ) as client:
            return await HealthWatch(client, limits, self._has_requests).until_hung()

    def _has_requests(self) -> bool:
        return self.in_flight.count() > 0

    def _enter(self, state: EngineState) -> None:
        self.state = state
        metrics.ENGINE_READY.set(int(state is EngineState.READY), {names.ENGINE: self.declared.name})
        if state is EngineState.READY:
            self.last_error = None
        if state in SETTLED:
            self.settled.set()
        self._changed.set()
        self._changed = asyncio.Event()

    async def _compare_plan(self, lines: Sequence[str]) -> None:
        if self._plan_check is not None:
            self.plan = await asyncio.to_thread(self._plan_check.compare, self.declared, lines)

    def _log_line(self, line: str) -> None:
        if self.start is not None:
            self.start.add(line)
        level, text = read_line(line)
        logger.log(level, "engine.log", extra={"engine": self.declared.name, "line": text})


def _in_words(exit_code: int) -> str:
    number = (
        exit_code - 128 if exit_code > 128 else -exit_code
    )  # a shell's way, and Python's, to tell of a signal
    try:
        return f"exit code {exit_code} ({signal.Signals(number).name})"
    except ValueError:
        return f"exit code {exit_code}"
