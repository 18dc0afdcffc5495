"""Builds the service from its settings and its declared engines, and closes it in reverse order."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import pynvml

from tandem_inference.engines.declaration import DeclaredEngines, Engine
from tandem_inference.engines.fleet import Fleet
from tandem_inference.engines.health_watch import HangLimits
from tandem_inference.engines.plan_check import PlanCheck
from tandem_inference.engines.ports import refuse_taken_port
from tandem_inference.engines.reload import Reloader
from tandem_inference.engines.sleep_mode import uses_sleep_mode
from tandem_inference.engines.start_order import ordered
from tandem_inference.engines.supervised_engine import SupervisedEngine, SupervisionLimits
from tandem_inference.engines.vllm_command import LOOPBACK
from tandem_inference.gateway.admission.admission import Admission
from tandem_inference.gateway.admission.limits import AdmissionLimits, ClassLimits
from tandem_inference.gateway.engine_http import EngineHttp, Engines
from tandem_inference.observation.cards import CardReader
from tandem_inference.observation.observer import Observer
from tandem_inference.settings import InferenceSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """What the entrypoints work with. `admissions` has one entry for each engine, by its name."""

    fleet: Fleet
    client: Engines
    admissions: Mapping[str, Admission]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the engines while the context is open; no engine process is left when it closes."""
        async with aclosing(self.client):
            engines = asyncio.create_task(self.fleet.run(), name="engines")
            try:
                yield
            finally:
                engines.cancel()
                await asyncio.gather(engines, return_exceptions=True)


def build_service(settings: InferenceSettings, declared: DeclaredEngines) -> Service:
    """Wire the service; nothing is started yet."""
    limits = SupervisionLimits(
        program=settings.engine_command,
        start_timeout_seconds=settings.engine_start_timeout_seconds,
        stop_grace_seconds=settings.engine_stop_grace_seconds,
        hang=HangLimits(settings.engine_silent_seconds, settings.engine_stalled_seconds),
        drain_seconds=settings.adapter_drain_seconds,
        sleep_mode=uses_sleep_mode(settings.engine_sleep),
    )
    first_port = settings.engine_first_port
    check = PlanCheck(settings.gpu, settings.plan_history_file)
    engines = [
        SupervisedEngine(engine, first_port + i, limits, plan_check=check)
        for i, engine in enumerate(declared.engines)
    ]
    order = [engine.name for engine in ordered(declared)]
    logger.info("engines.start_order", extra={"order": order, "by": declared.start_order})
    return Service(Fleet(engines, order), EngineHttp(), build_admissions(settings, declared.engines))


def build_admissions(settings: InferenceSettings, declared: Sequence[Engine]) -> dict[str, Admission]:
    """Return the admission of each engine, by the engine's name."""
    limits = AdmissionLimits(
        reserve=settings.background_reserve_slots,
        floor=settings.background_floor_slots,
        interactive=ClassLimits(settings.interactive_queue_length, settings.interactive_longest_wait_seconds),
        background=ClassLimits(settings.background_queue_length, settings.background_longest_wait_seconds),
    )
    return {engine.name: Admission(engine.name, engine.max_num_seqs, limits) for engine in declared}


def build_reloader(settings: InferenceSettings, service: Service) -> Reloader:
    """Return what reads the engines' file again while `service` runs."""
    return Reloader(settings.engines_file, service.fleet)


def build_observer(service: Service) -> Observer:
    """Return what tells of the engines, processes and cards of `service`; nothing is asked yet."""
    return Observer(service.fleet, service.admissions, CardReader(pynvml))


def refuse_taken_ports(settings: InferenceSettings, declared: Sequence[Engine]) -> None:
    """Raise StartError naming the first port that this service needs and another program has."""
    refuse_taken_port(settings.host, settings.port, what="The gateway", setting="TANDEM_INFERENCE_PORT")
    for offset, engine in enumerate(declared):
        refuse_taken_port(
            LOOPBACK,
            settings.engine_first_port + offset,
            what=f"The engine {engine.name!r}",
            setting="TANDEM_INFERENCE_ENGINE_FIRST_PORT",
        )
