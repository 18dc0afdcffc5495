"""Makes the FastAPI app that runs the worker: health, readiness, metrics, and where a request stands."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel

from tandem_contracts.feedback.v1 import Identifier
from tandem_feedback import __version__
from tandem_feedback.bootstrap import Worker, bootstrap
from tandem_feedback.entrypoints.http.problems import install_problem_handlers
from tandem_feedback.settings import FeedbackSettings
from tandem_telemetry import instrument_app


class JobBody(BaseModel):
    """Where a request stands. `outcome` is the published event's data, once there is one."""

    request_id: str
    conversation_id: str
    state: str
    attempts: int
    received_at: datetime
    finished_at: datetime | None
    outcome: dict[str, Any] | None


def create_app(settings: FeedbackSettings) -> FastAPI:
    """Build the app; the worker starts and stops with it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with bootstrap(settings) as worker:
            app.state.worker = worker
            yield

    app = FastAPI(
        title="Tandem feedback", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    install_problem_handlers(app)

    @app.get("/health", tags=["operation"])
    async def health() -> dict[str, str]:
        """Say that the process answers, whatever else is down."""
        return {"status": "ok"}

    @app.get("/ready", tags=["operation"])
    async def ready(request: Request) -> dict[str, str]:
        """Say that the database answers and the engine serves; 503 with the reason otherwise."""
        worker: Worker = request.app.state.worker
        async with worker.store.read() as transaction:
            await transaction.now()
        await worker.engine.require_ready()
        return {"status": "ready"}

    @app.get("/v1/feedback/{request_id}", tags=["feedback"])
    async def read_job(request: Request, request_id: Identifier) -> JobBody:
        """Read where a request stands."""
        worker: Worker = request.app.state.worker
        async with worker.store.read() as transaction:
            job = await transaction.job(request_id)
        return JobBody(
            request_id=job.request_id,
            conversation_id=job.conversation_id,
            state=job.state.value,
            attempts=job.attempts,
            received_at=job.received_at,
            finished_at=job.finished_at,
            outcome=job.outcome.model_dump(mode="json") if job.outcome else None,
        )

    instrument_app(app)
    return app
