"""Answers every error in the shape that its path promises: OpenAI's under `/v1` and `/tokenize` (of one engine, too), RFC 9457 elsewhere."""

import re
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from tandem_contracts.problem import PROBLEM_MEDIA_TYPE, FieldError, Problem, field_errors
from tandem_inference.errors import InferenceError, TransientError, UnauthorizedError
from tandem_inference.gateway.openai_errors import KINDS, error_response, status_response

# Those of all engines, and the same under the address of one.
_OPENAI_PATHS = re.compile(r"(/engines/[^/]*)?(/v1(/.*)?|/tokenize)", re.DOTALL)


def add_error_handlers(app: FastAPI) -> None:
    """Make `app` answer its errors; nothing of an unexpected one but its existence is told."""
    app.exception_handler(InferenceError)(_answer_known)
    app.exception_handler(HTTPException)(_answer_status)
    app.exception_handler(RequestValidationError)(_answer_invalid)
    app.exception_handler(Exception)(_answer_unexpected)


def problem_response(
    request: Request,
    status: int,
    code: str,
    detail: str,
    *,
    errors: tuple[FieldError, ...] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """Return a problem document about `request`."""
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        instance=request.url.path,
        errors=errors,
    )
    content = problem.model_dump_json(exclude_none=True)
    return Response(content, status, headers, media_type=PROBLEM_MEDIA_TYPE)


async def _answer_known(request: Request, error: InferenceError) -> Response:
    if _speaks_openai(request):
        return error_response(error)
    kind = KINDS[type(error)]
    headers = {}
    if isinstance(error, TransientError):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = "Bearer"
    return problem_response(request, kind.status, kind.code, str(error), headers=headers)


async def _answer_status(request: Request, error: HTTPException) -> Response:
    headers = dict(error.headers or {})
    if _speaks_openai(request):
        message = f"{request.method} {request.url.path}: {error.detail}."
        return status_response(error.status_code, message, headers)
    code = HTTPStatus(error.status_code).name.lower()
    return problem_response(request, error.status_code, code, str(error.detail), headers=headers)


async def _answer_invalid(request: Request, error: RequestValidationError) -> Response:
    errors = field_errors(error.errors())
    if _speaks_openai(request):
        return status_response(400, "; ".join(f"{e.field}: {e.message}" for e in errors))
    detail = "The request is not as expected; `errors` names the fields."
    return problem_response(request, 422, "invalid_request", detail, errors=errors)


async def _answer_unexpected(request: Request, error: Exception) -> Response:
    detail = "Something unexpected went wrong; the service's log tells more."
    if _speaks_openai(request):
        return status_response(500, detail)
    return problem_response(request, 500, "internal_error", detail)


def _speaks_openai(request: Request) -> bool:
    return _OPENAI_PATHS.fullmatch(request.url.path) is not None
