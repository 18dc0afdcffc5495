"""Builds the HTTP app. A new face of the service is one more router in the list of `create_app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from pydantic import SecretStr

from tandem_inference.bootstrap import Service, build_observer, build_reloader
from tandem_inference.entrypoints.http.engines import engines_router
from tandem_inference.entrypoints.http.engines_admin import engines_admin_router
from tandem_inference.entrypoints.http.errors import add_error_handlers
from tandem_inference.entrypoints.http.gpu import gpu_router
from tandem_inference.entrypoints.http.status import status_router
from tandem_inference.gateway.engine_choice import EngineChoice
from tandem_inference.gateway.exchange import Exchange
from tandem_inference.gateway.routes import openai_router
from tandem_inference.gateway.service_token import ServiceToken
from tandem_inference.observation.observer import Observer
from tandem_inference.planner.http import planner_router
from tandem_inference.settings import InferenceSettings
from tandem_telemetry import instrument_app


def create_app(settings: InferenceSettings, service: Service, observer: Observer | None = None) -> FastAPI:
    """Return the app; `service` runs from the app's start to its end, watched by `observer` (by default, its own)."""
    watching = observer or build_observer(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with watching.open(), service.running():
            yield

    app = FastAPI(
        title="Tandem inference", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )
    add_error_handlers(app)
    token = ServiceToken(*map(_value, (settings.service_token, settings.feedback_token)))
    routers = [
        openai_router(
            service.fleet,
            EngineChoice(service.admissions),
            Exchange(service.client),
            token,
            max_body_bytes=settings.max_body_bytes,
        ),
        status_router(service.fleet),
        engines_router(watching, token),
        engines_admin_router(build_reloader(settings, service), ServiceToken(_value(settings.service_token))),
        gpu_router(watching, token),
        planner_router(),
    ]
    for router in routers:
        app.include_router(router)
    instrument_app(app, watching.metrics)
    return app


def _value(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
