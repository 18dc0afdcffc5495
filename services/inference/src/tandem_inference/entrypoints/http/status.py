"""Whether the process is alive, and whether its engines serve."""

from typing import Any

from fastapi import APIRouter

from tandem_inference.engines.fleet import Fleet


def status_router(fleet: Fleet) -> APIRouter:
    """Return `GET /health` and `GET /ready` over `fleet`."""
    router = APIRouter()

    @router.get("/health")
    async def tell_alive() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/ready")
    async def tell_ready() -> dict[str, Any]:
        if error := fleet.first_not_ready():
            raise error
        return {"status": "ready", "engines": {e.declared.name: e.state for e in fleet.engines}}

    return router
