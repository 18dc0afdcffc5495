"""`GET /gpu`: memory of each card and of each process on it, and the host memory of the service and its engines."""

from typing import Any

from fastapi import APIRouter, Depends

from tandem_inference.gateway.service_token import ServiceToken
from tandem_inference.observation.observer import Observer


def gpu_router(observer: Observer, token: ServiceToken) -> APIRouter:
    """Return the route; it tells what runs on this machine, so the token is asked for."""
    router = APIRouter(dependencies=[Depends(token)])

    @router.get("/gpu")
    async def tell_memory() -> dict[str, Any]:
        return await observer.memory()

    return router
