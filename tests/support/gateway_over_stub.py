"""The gateway over stub engines, behind real sockets and inside the test's event loop: both sides can be looked at directly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from tandem_inference.bootstrap import Service, build_admissions
from tandem_inference.engines.fleet import Fleet
from tandem_inference.engines.supervised_engine import EngineState, SupervisedEngine, SupervisionLimits
from tandem_inference.entrypoints.http.app import create_app
from tandem_inference.gateway.admission.admission import Admission
from tandem_inference.gateway.engine_http import EngineHttp
from tandem_inference.settings import InferenceSettings
from tests.support.eventually import eventually
from tests.support.inference_service import declared_engine
from tests.support.ports import free_port
from tests.support.stub_engine import StubEngine

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class GatewayOverStub:
    """The gateway at `url`, and its engine's admission."""

    url: str
    admission: Admission

    async def until_all_free(self, stub: StubEngine) -> None:
        """Return once every slot is free, nobody waits, and the engine works on nothing."""
        await eventually("all slots are free", self._is_all_free, seconds=PATIENCE_SECONDS)
        await eventually("the engine is idle", lambda: running(stub) == 0, seconds=PATIENCE_SECONDS)

    def _is_all_free(self) -> bool:
        now = self.admission.snapshot()
        return (now.free, now.interactive.waiting, now.background.waiting) == (now.slots, 0, 0)


def running(stub: StubEngine) -> int:
    """How many requests the engine works on."""
    return sum(asked.outcome == "running" for asked in stub.asked)


@asynccontextmanager
async def gateway_over(
    stub: StubEngine, *, slots: int = 128, settings: InferenceSettings | None = None
) -> AsyncIterator[GatewayOverStub]:
    settings = settings or InferenceSettings(_env_file=None)
    limits = SupervisionLimits(program=("unused",), start_timeout_seconds=1, stop_grace_seconds=1)
    async with AsyncExitStack() as stack:
        engine_port = await stack.enter_async_context(_served(stub.app))
        client = await stack.enter_async_context(aclosing(EngineHttp()))
        engine = SupervisedEngine(declared_engine(max_num_seqs=slots), engine_port, limits)
        engine.state = EngineState.READY
        admissions = build_admissions(settings, [engine.declared])
        app = create_app(settings, Service(Fleet([engine]), client, admissions))
        port = await stack.enter_async_context(_served(app))
        yield GatewayOverStub(f"http://127.0.0.1:{port}", admissions["stub"])


@asynccontextmanager
async def _served(app: ASGIApp) -> AsyncIterator[int]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off", backlog=2048))
    serving = asyncio.create_task(server.serve())
    try:
        await eventually("the server listens", lambda: server.started, seconds=PATIENCE_SECONDS)
        yield port
    finally:
        server.should_exit = True
        await serving
