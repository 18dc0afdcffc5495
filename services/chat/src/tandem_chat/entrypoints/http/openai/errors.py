"""Tells errors on the OpenAI-compatible addresses in OpenAI's shape, which is what their callers read."""

from typing import Any, Final

from starlette.responses import JSONResponse

from tandem_contracts.problem import Problem

PATHS: Final = frozenset({"/v1/chat/completions", "/v1/models"})
_TYPES: Final = {401: "authentication_error", 429: "rate_limit_error"}


def openai_error(problem: Problem) -> dict[str, Any]:
    """Return `problem` as OpenAI's error object."""
    field = problem.errors[0].field if problem.errors else None
    fallback = "invalid_request_error" if problem.status < 500 else "server_error"
    kind = _TYPES.get(problem.status, fallback)
    return {"error": {"message": problem.detail, "type": kind, "param": field, "code": problem.code}}


def openai_error_response(problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    """Answer `problem`; OpenAI's servers say 400 where ours say 422."""
    status = 400 if problem.status == 422 else problem.status
    return JSONResponse(openai_error(problem), status, headers=headers)
