"""Keeps one declared engine running: restarts it after a crash, lets it sleep when idle, stops it in order.

A single life of its process is `engine_life`'s matter, its adapters are `adapter_set`'s.
"""

import asyncio
import logging
import math
import time
from contextlib import AbstractContextManager

import httpx

from tandem_inference import metrics
from tandem_inference.engines.adapter_set import AdapterChanges, AdapterSet
from tandem_inference.engines.adapter_status import AdapterState
from tandem_inference.engines.declaration import Engine
from tandem_inference.engines.declared_adapter import LoraRoom
from tandem_inference.engines.engine_client import EngineCallError, EngineClient
from tandem_inference.engines.engine_life import Ended, EngineLife, SupervisionLimits
from tandem_inference.engines.engine_state import GIVEN_UP, EngineState
from tandem_inference.engines.health_watch import HealthWatch
from tandem_inference.engines.plan_check import PlanCheck, PlanOutcome
from tandem_inference.engines.refusals import adapter_refusal, engine_refusal
from tandem_inference.engines.requests_in_flight import RequestsInFlight
from tandem_inference.engines.restart_policy import RestartPolicy
from tandem_inference.engines.start_record import StartRecord
from tandem_inference.engines.vllm_command import LOOPBACK
from tandem_inference.engines.wake_times import WakeTimes
from tandem_inference.errors import EngineNotReadyError
from tandem_telemetry import names

__all__ = ["EngineState", "SupervisedEngine", "SupervisionLimits"]

logger = logging.getLogger(__name__)


class SupervisedEngine:
    """One engine and its state, which anyone may read; only `run` changes it, and `declare_adapters` what it serves."""

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
        self.proposal: str | None = None  # a change of the engines' file that would cure `last_error`
        self.restarts = 0
        self.in_flight = RequestsInFlight()
        self.settled = asyncio.Event()  # set once the first start has worked or been given up
        self.start: StartRecord | None = None  # of the process that runs now
        self.plan: PlanOutcome | None = None  # of the last start that has been compared
        self.lora_room: LoraRoom | None = declared.lora  # of the process that runs now
        self.adapters = AdapterSet(
            declared.name, declared.adapters, self.in_flight, limits.drain_seconds, self._tell
        )
        self._changed = asyncio.Event()  # set, and replaced, at each change of state
        self._wakes = WakeTimes()
        self._is_proved = False  # an engine on demand goes to sleep at once after its first start
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
        ready = (one.adapter.name for one in self.adapters.statuses if one.state is AdapterState.READY)
        return (self.declared.served_model_name, *ready)

    def serves(self, model: str) -> bool:
        """Whether `model` is this engine's to answer, ready or not: its own name or that of a declared adapter."""
        return model == self.declared.served_model_name or self.adapters.is_declared(model)

    def use(self, model: str) -> AbstractContextManager[None]:
        """Count one request for `model` while the context is open, from its arrival to the end of its answer."""
        return self.in_flight.use(model)

    async def wait_until_ready(self, seconds: float, model: str | None = None) -> None:
        """Return once the engine (and its adapter `model`) can answer; wakes an engine that sleeps.

        Raises:
            EngineNotReadyError: it could not within `seconds`, is not expected to, or never will; tells the reason and when
                to ask again.
        """
        if self._can_answer(model):
            return
        rest = self._wakes.rest_seconds
        if self.state in {EngineState.ASLEEP, EngineState.WAKING} and rest is not None and rest > seconds:
            self.in_flight.wanted.set()
            raise self.not_ready(model)
        with self.in_flight.waiting(model or self.declared.served_model_name):
            try:
                async with asyncio.timeout(seconds):
                    while not self._can_answer(model):
                        if self.state in GIVEN_UP or self._has_failed(model):
                            raise self.not_ready(model)
                        await self._changed.wait()
            except TimeoutError:
                raise self.not_ready(model) from None

    def not_ready(self, model: str | None = None) -> EngineNotReadyError:
        """The error that tells why this engine, or its adapter `model`, cannot answer and when to ask again."""
        adapter = self.adapters.status(model) if model else None
        if (
            adapter is not None
            and self.state is EngineState.READY
            and adapter.state is not AdapterState.READY
        ):
            return adapter_refusal(self, adapter)
        sleeps = self.state in {EngineState.ASLEEP, EngineState.WAKING}
        rest = self._wakes.rest_seconds if sleeps else None
        return engine_refusal(self, None if rest is None else math.ceil(rest))

    def declare_adapters(self, declared: Engine) -> AdapterChanges:
        """Take over the adapters of `declared`, and what they need for the next start; returns before they are loaded."""
        self.declared = self.declared.model_copy(
            update={field: getattr(declared, field) for field in ("adapters", "max_loras", "max_lora_rank")}
        )
        # An engine without room takes them over with its next start.
        return self.adapters.declare(() if self.lora_room is None else declared.adapters)

    async def run(self) -> None:
        """Keep the engine running until it cannot start or is flapping; cancel to stop it and every process of it."""
        self._enter(EngineState.STARTING)
        try:
            while await self._live_and_recover():
                pass
        except asyncio.CancelledError:
            self._enter(EngineState.STOPPED)
            raise
        except Exception as error:  # a mistake of this service must not take the other engines down
            logger.exception("engine.supervision_failed", extra={"engine": self.declared.name})
            self.last_error = f"supervising it failed: {error}"
            self._enter(EngineState.FAILED)

    async def _live_and_recover(self) -> bool:
        """One life, and the wait for the next; return whether there is to be one."""
        if self.declared.on_demand and not self._limits.sleep_mode:
            self._wakes.begin()
        ended = await self._live()
        if ended is None:
            await self._until_wanted()
            return True
        self._wakes.give_up()
        self.adapters.begin()
        self.last_error, self.proposal = ended.reason, ended.proposal
        facts = {"engine": self.declared.name, "reason": ended.reason, "proposal": ended.proposal}
        delay = self._policy.delay_after_crash(time.monotonic()) if ended.passing else None
        if delay is None:
            logger.error("engine.flapping" if ended.passing else "engine.cannot_start", extra=facts)
            self._enter(EngineState.FAILED)
            return False
        logger.warning("engine.crashed", extra=facts | {"restart_in_seconds": delay})
        self.restarts += 1
        metrics.ENGINE_RESTARTS.add(1, {names.ENGINE: self.declared.name})
        self._enter(EngineState.RESTARTING)
        await asyncio.sleep(delay)
        return True

    async def _live(self) -> Ended | None:
        """Run the process once; return why it ended, None when it was put to sleep by being stopped."""
        life = EngineLife(self.declared, self.port, self._limits)
        self.start, self.plan, self.lora_room = life.record, None, self.declared.lora
        self.adapters.declare(self.declared.adapters)
        try:
            async with EngineClient(self.base_url, self._limits.start_timeout_seconds) as client:
                if ended := await life.until_healthy(client):
                    return ended
                lines = life.record.finish()
                facts = {"engine": self.declared.name, "start_seconds": life.record.start_seconds}
                logger.info("engine.ready", extra=facts)
                self._begin_answering()
                comparing = asyncio.create_task(self._compare_plan(lines))
                try:
                    return await life.until_ended(self._until_hung(), self._serve(client, life))
                finally:
                    comparing.cancel()
                    await asyncio.gather(comparing, return_exceptions=True)
        finally:
            await life.stop()
            self.start = None
            self.adapters.forget()

    async def _serve(self, client: EngineClient, life: EngineLife) -> Ended | None:
        """Keep the adapters, and sleep when idle, as long as the process runs; return None to have it stopped for sleep."""
        while True:
            keeping = asyncio.create_task(self.adapters.keep(client))
            try:
                await self._until_tired()
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
            self._is_proved = True
            if not self.in_flight.is_idle:  # a request came while the adapters' work was laid down
                self.settled.set()
                continue
            self.in_flight.wanted.clear()
            self._enter(EngineState.ASLEEP)
            logger.info("engine.asleep", extra={"engine": self.declared.name})
            if not life.sleep_mode:
                return None
            try:
                await client.sleep()
                await self._until_wanted()
                await client.wake_up()
            except EngineCallError as error:
                return Ended(f"it could not be put to sleep or woken: {error}")
            self._begin_answering()

    async def _until_tired(self) -> None:
        if self.declared.on_demand is None:
            await asyncio.Event().wait()
            return
        if not self._is_proved:
            await self.adapters.until_tried()
            return
        await self.in_flight.until_idle(self.declared.on_demand.idle_seconds)

    async def _until_wanted(self) -> None:
        self.settled.set()
        await self.in_flight.wanted.wait()
        self._wakes.begin()
        self._enter(EngineState.WAKING)
        logger.info("engine.waking", extra={"engine": self.declared.name})

    def _begin_answering(self) -> None:
        self._wakes.end()
        self.in_flight.stay_awake()
        self.adapters.begin()
        self._enter(EngineState.READY)

    def _can_answer(self, model: str | None) -> bool:
        if self.state is not EngineState.READY:
            return False
        adapter = self.adapters.status(model) if model else None
        # One on its way out still answers those who came before.
        return adapter is None or adapter.state in {AdapterState.READY, AdapterState.DRAINING}

    def _has_failed(self, model: str | None) -> bool:
        adapter = self.adapters.status(model) if model else None
        return adapter is not None and adapter.state is AdapterState.FAILED

    def _enter(self, state: EngineState) -> None:
        self.state = state
        metrics.ENGINE_READY.set(int(state is EngineState.READY), {names.ENGINE: self.declared.name})
        if state is EngineState.READY:
            self.last_error = self.proposal = None
        if state in GIVEN_UP or (state is EngineState.READY and self.declared.on_demand is None):
            self.settled.set()
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _until_hung(self) -> Ended:
        limits = self._limits.hang
        async with httpx.AsyncClient(
            base_url=self.base_url, timeout=limits.pause_seconds, trust_env=False
        ) as client:
            watch = HealthWatch(client, limits, self.in_flight.is_at_engine)
            return Ended(await watch.until_hung())

    async def _compare_plan(self, lines: tuple[str, ...]) -> None:
        if self._plan_check is not None:
            self.plan = await asyncio.to_thread(self._plan_check.compare, self.declared, lines)
