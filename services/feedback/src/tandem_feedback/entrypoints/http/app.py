"""Makes the FastAPI app that runs the worker. A new face of the service is one more router in the list here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from tandem_contracts.problem import Problem
from tandem_feedback import __version__
from tandem_feedback.bootstrap import bootstrap
from tandem_feedback.entrypoints.http import (
    batches,
    bulk,
    dead_letters,
    feedback,
    health,
    human_scores,
    reruns,
    rubrics,
    webhooks,
)
from tandem_feedback.entrypoints.http.documentation import schemas
from tandem_feedback.entrypoints.http.evaluation_schemas import NewBatch, NewHumanScore
from tandem_feedback.entrypoints.http.problems import install_problem_handlers
from tandem_feedback.entrypoints.http.schemas import NewFeedback
from tandem_feedback.settings import FeedbackSettings
from tandem_telemetry import instrument_app

_BODIES = (
    NewFeedback,
    NewBatch,
    NewHumanScore,
    dead_letters.LetterEdit,
    dead_letters.ReplayAll,
    dead_letters.PurgeAll,
)


def create_app(settings: FeedbackSettings) -> FastAPI:
    """Build the app; the worker starts and stops with it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with bootstrap(settings) as worker:
            app.state.worker = worker
            yield

    app = _Feedback(
        title="Tandem feedback",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # the documentation page loads scripts from elsewhere; /openapi.json stays
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.settings = settings
    install_problem_handlers(app)
    for module in (bulk, feedback, webhooks, batches, reruns, human_scores, rubrics, dead_letters, health):
        app.include_router(module.router)
    instrument_app(app)
    return app


class _Feedback(FastAPI):
    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document.setdefault("components", {}).setdefault("schemas", {}).update(schemas(Problem, *_BODIES))
        return document
