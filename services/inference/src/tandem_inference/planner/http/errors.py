"""Turns every mistake of a planner request into a 400 problem document that names the field and what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from tandem_inference.planner.errors import PlannerError
from tandem_inference.planner.mistakes import in_words

MEDIA_TYPE = "application/problem+json"
NOT_JSON = "must be JSON: an object with the fields that GET / shows"
NOT_CALLED_JSON = "must be a JSON object, sent with the header Content-Type: application/json"
LARGEST_BODY_BYTES = 1024 * 1024
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def problem(
    request: Request, *, detail: str, code: str, field: str | None, status: int = 400
) -> JSONResponse:
    errors = [{"field": field, "message": detail}] if field else []
    return JSONResponse(
        {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "code": code,
            "instance": request.url.path,
            "errors": errors,
        },
        status_code=status,
        media_type=MEDIA_TYPE,
    )


def _sentence(error: RequestValidationError) -> tuple[str, str]:
    """Field and message of the first mistake; what the caller sent is not repeated beyond the validator's words."""
    first = error.errors()[0]
    parts = [str(part) for part in first.get("loc", ()) if part != "body"]
    kind = str(first.get("type"))
    if kind == "json_invalid":
        return "body", NOT_JSON
    if not parts and isinstance(first.get("input"), bytes):
        return "body", NOT_CALLED_JSON
    return ".".join(parts)[:200] or "body", in_words(first)


def _named(error: PlannerError) -> str:
    """The message, which names the field at fault even where the error's own words do not."""
    field = error.field
    if field is None or field.rsplit(".", maxsplit=1)[-1] in error.message:
        return error.message
    return f"{field}: {error.message}"


def _bounded(receive: Receive) -> Receive:
    """`receive` that refuses to go on once a body is larger than any request needs to be."""
    came = 0

    async def take() -> Message:
        nonlocal came
        message = await receive()
        came += len(message.get("body", b""))
        if came > LARGEST_BODY_BYTES:
            raise HTTPException(413, f"body: must be at most {LARGEST_BODY_BYTES} bytes")
        return message

    return take


class PlannerRoute(APIRoute):
    """A route whose validation errors and planner errors are answered with 400, and too large a body with 413."""

    def get_route_handler(self) -> Handler:
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await inner(Request(request.scope, _bounded(request.receive)))
            except RequestValidationError as error:
                field, message = _sentence(error)
                return problem(request, detail=f"{field}: {message}", code="invalid_value", field=field)
            except PlannerError as error:
                return problem(request, detail=_named(error), code=error.code, field=error.field)
            except HTTPException as error:
                if error.status_code == 413:
                    detail, code = str(error.detail), "request_too_large"
                else:  # what json.loads gives up on: no UTF-8, too deep, numbers of thousands of digits
                    detail, code = f"body: {NOT_JSON}", "invalid_value"
                return problem(request, detail=detail, code=code, field="body", status=error.status_code)

        return handle
