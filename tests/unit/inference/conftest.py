"""The whole HTTP app over an engine that is one Python function: no socket, no process."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tandem_inference.bootstrap import Service, build_admissions
from tandem_inference.engines.declaration import Engine
from tandem_inference.engines.fleet import Fleet
from tandem_inference.engines.supervised_engine import EngineState, SupervisedEngine, SupervisionLimits
from tandem_inference.entrypoints.http.app import create_app
from tandem_inference.gateway.admission.admission import Admission
from tandem_inference.settings import InferenceSettings
from tests.support.inference_service import declared_engine
from tests.support.scripted_engines import ScriptedEngines

_LIMITS = SupervisionLimits(program=("unused",), start_timeout_seconds=1, stop_grace_seconds=1)


@dataclass
class Gateway:
    """The app with one ready engine `alpha`, unless `declared` says otherwise, a client for it, and what was asked."""

    app: FastAPI
    engines: list[SupervisedEngine]
    admissions: dict[str, Admission]
    client: httpx.AsyncClient
    asked: list[httpx.Request] = field(default_factory=list)
    answer: Callable[[httpx.Request], httpx.Response] = lambda _: httpx.Response(200, json={"answer": "yes"})

    @property
    def engine(self) -> SupervisedEngine:
        return self.engines[0]

    @property
    def admission(self) -> Admission:
        return self.admissions[self.engine.declared.name]

    @property
    def asked_bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.asked]


@pytest.fixture
def settings() -> InferenceSettings:
    return InferenceSettings(_env_file=None, max_body_bytes=4096, interactive_longest_wait_seconds=0.3)


@pytest.fixture
def declared() -> list[Engine]:
    return [declared_engine(model="alpha")]


@pytest.fixture
async def gateway(settings: InferenceSettings, declared: list[Engine]) -> AsyncIterator[Gateway]:
    engines = [SupervisedEngine(engine, port, _LIMITS) for port, engine in enumerate(declared, 1)]
    for engine in engines:
        engine.state = EngineState.READY

    def upstream(request: httpx.Request) -> httpx.Response:
        built.asked.append(request)
        return built.answer(request)

    admissions = build_admissions(settings, declared)
    app = create_app(settings, Service(Fleet(engines), ScriptedEngines(upstream), admissions))
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        built = Gateway(app, engines, admissions, client)
        yield built


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder
