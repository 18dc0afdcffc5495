"""The planner as an application of its own, for use without the inference service: `tandem-plan serve`."""

from __future__ import annotations

from fastapi import FastAPI

from tandem_inference.planner.http.router import planner_router


def create_app(*, allow_hub: bool = False) -> FastAPI:
    app = FastAPI(title="GPU memory planner for vLLM", version="1")
    app.include_router(planner_router(allow_hub=allow_hub))
    return app
