"""`GET /engines`: each engine's state for an operator, and how its last start compares with the planner's numbers."""

from typing import Any

from fastapi import APIRouter, Depends

from tandem_inference.engines.fleet import Fleet
from tandem_inference.engines.supervised_engine import SupervisedEngine
from tandem_inference.gateway.service_token import ServiceToken


def engines_router(fleet: Fleet, token: ServiceToken) -> APIRouter:
    """Return the route over `fleet`; it tells which models and sizes run here, so the token is asked for."""
    router = APIRouter(dependencies=[Depends(token)])

    @router.get("/engines")
    async def list_engines() -> dict[str, Any]:
        return {"engines": [_told(engine) for engine in fleet.engines]}

    return router


def _told(engine: SupervisedEngine) -> dict[str, Any]:
    start, plan = engine.start, engine.plan
    return {
        "name": engine.declared.name,
        "model": engine.declared.served_model_name,
        "state": engine.state,
        "restarts": engine.restarts,
        "last_error": engine.last_error,
        "running_seconds": start and start.running_seconds,
        "start_seconds": start and start.start_seconds,
        "ready_seconds": start and start.ready_seconds,
        "plan": plan and plan.as_json(),
    }
