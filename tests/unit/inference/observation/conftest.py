"""The HTTP app over two engines: `small` answers with what vLLM published, `large` does not run; and a card that is not there."""

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import httpx
import pytest

from tandem_inference.bootstrap import Service, build_admissions
from tandem_inference.engines.fleet import Fleet
from tandem_inference.engines.start_record import StartRecord
from tandem_inference.engines.supervised_engine import EngineState, SupervisedEngine, SupervisionLimits
from tandem_inference.entrypoints.http.app import create_app
from tandem_inference.gateway.engine_http import EngineHttp
from tandem_inference.observation.cards import CardReader
from tandem_inference.observation.observer import Observer
from tandem_inference.settings import InferenceSettings
from tests.support.fake_nvml import FakeNvml, nvml_error
from tests.support.inference_service import declared_engine
from tests.unit.inference.observation.samples import VLLM_PAGE

_LIMITS = SupervisionLimits(program=("unused",), start_timeout_seconds=1, stop_grace_seconds=1)


@dataclass
class Observed:
    """The app's client, its engines, their cards, and how the engines answer `GET /metrics`."""

    client: httpx.AsyncClient
    small: SupervisedEngine
    large: SupervisedEngine
    nvml: FakeNvml
    service: Service
    answer: Callable[[httpx.Request], httpx.Response]


def started(engine: SupervisedEngine) -> SupervisedEngine:
    """`engine`, as if this process's group had become ready to serve."""
    engine.start = StartRecord()
    engine.start.process_group = os.getpgid(0)
    engine.start.finish()
    engine.state = EngineState.READY
    return engine


@pytest.fixture
def observing_settings() -> InferenceSettings:
    return InferenceSettings(_env_file=None)


@pytest.fixture
async def observed(observing_settings: InferenceSettings) -> AsyncIterator[Observed]:
    small = started(SupervisedEngine(declared_engine("small", "alpha"), 1, _LIMITS))
    adapters = [{"name": name, "model": f"organisation/{name}"} for name in ("formal", "terse")]
    large = SupervisedEngine(
        declared_engine("large", "beta", adapters=adapters, max_lora_rank=16), 2, _LIMITS
    )
    nvml = FakeNvml()
    nvml.mistakes["nvmlInit"] = nvml_error("LIBRARY_NOT_FOUND")

    def upstream(request: httpx.Request) -> httpx.Response:
        return built.answer(request)

    engines = httpx.AsyncClient(transport=httpx.MockTransport(upstream))
    admissions = build_admissions(observing_settings, [small.declared, large.declared])
    service = Service(Fleet([small, large]), EngineHttp(), admissions)
    observer = Observer(service.fleet, admissions, CardReader(nvml), engines)
    transport = httpx.ASGITransport(create_app(observing_settings, service, observer))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        built = Observed(client, small, large, nvml, service, lambda _: httpx.Response(200, text=VLLM_PAGE))
        yield built
