"""`POST /engines/reload`: reads the engines' file again. What that means is `engines/reload.py`'s matter."""

import re
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from tandem_contracts.problem import FieldError
from tandem_inference.engines.reload import Reloader
from tandem_inference.entrypoints.http.errors import problem_response
from tandem_inference.errors import StartError
from tandem_inference.gateway.service_token import ServiceToken

_MISTAKE = re.compile(r"^.*?, (line \d+): (.*)$")


def engines_admin_router(reloader: Reloader, token: ServiceToken) -> APIRouter:
    """Return the route; only those who know the service token may change what is served."""
    router = APIRouter(dependencies=[Depends(token)])

    @router.post("/engines/reload", response_model=None)
    async def reload_engines(request: Request) -> dict[str, Any] | Response:
        try:
            return reloader.reload().as_json()
        except StartError as error:
            return problem_response(
                request,
                422,
                "invalid_engines_file",
                f"The engines' file is wrong, and everything goes on as it was. Correct it and reload again. {error}",
                errors=tuple(_by_line(str(error))),
            )

    return router


def _by_line(mistakes: str) -> Iterator[FieldError]:
    for mistake in mistakes.splitlines():
        if found := _MISTAKE.match(mistake):
            yield FieldError(field=found[1], message=found[2])
