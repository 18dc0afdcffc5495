"""`GET /engines`: each engine's state for an operator; `GET /engines/{name}/metrics`: what one engine publishes of itself."""

from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Response

from tandem_inference.errors import EngineNotReadyError
from tandem_inference.gateway.service_token import ServiceToken
from tandem_inference.observation.observer import Observer

_RETRY_AFTER_SECONDS = 5


def engines_router(observer: Observer, token: ServiceToken) -> APIRouter:
    """Return the routes; they tell which models and sizes run here, so the token is asked for."""
    router = APIRouter(dependencies=[Depends(token)])

    @router.get("/engines")
    async def list_engines() -> dict[str, Any]:
        return {"engines": await observer.engines()}

    @router.get("/engines/{name}/metrics")
    async def pass_on_metrics(name: str) -> Response:
        page = await observer.page(name)
        if page is None:
            known = ", ".join(observer.engine_names)
            raise HTTPException(404, f"There is no engine {name!r:.60}. Engines: {known}.")
        if page.unavailable is not None:
            raise EngineNotReadyError(
                f"The engine {name!r} tells no metrics now: {page.unavailable}. Ask again later.",
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            )
        return Response(page.raw, media_type=page.content_type)

    return router
