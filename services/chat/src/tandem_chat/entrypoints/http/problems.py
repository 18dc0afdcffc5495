"""The one table from chat's errors to HTTP, and the handlers that answer with RFC 9457 problem documents."""

import logging
import math
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tandem_chat.domain import errors
from tandem_chat.domain.conversation import Message
from tandem_chat.entrypoints.http.openai.errors import PATHS as OPENAI_PATHS
from tandem_chat.entrypoints.http.openai.errors import openai_error_response
from tandem_contracts.problem import PROBLEM_MEDIA_TYPE, FieldError, Problem, field_errors
from tandem_messaging.errors import DatabaseUnavailableError, TandemError, TransientError

logger = logging.getLogger(__name__)

PROBLEMS: Final[dict[type[TandemError], tuple[int, str]]] = {
    errors.ConversationNotFoundError: (404, "conversation_not_found"),
    errors.MessageNotFoundError: (404, "message_not_found"),
    errors.FeedbackNotFoundError: (404, "feedback_not_found"),
    errors.MessageTooLongError: (422, "message_too_long"),
    errors.ReplyInProgressError: (409, "reply_in_progress"),
    errors.ReplyNotRetryableError: (409, "reply_not_retryable"),
    errors.NothingToJudgeError: (409, "nothing_to_judge"),
    errors.UnknownModelError: (404, "model_not_found"),
    errors.UnknownPersonaError: (422, "unknown_persona"),
    errors.PersonaGoneError: (409, "persona_gone"),
    errors.EngineRefusedError: (502, "engine_refused"),
    errors.UnauthenticatedError: (401, "unauthenticated"),
    errors.SignInUnavailableError: (503, "sign_in_unavailable"),
    errors.RateLimitedError: (429, "rate_limited"),
    errors.TooManyRepliesError: (429, "too_many_replies"),
    errors.DailyTokensUsedError: (429, "daily_tokens_used"),
    errors.EngineNotReadyError: (503, "engine_not_ready"),
    errors.EngineBrokeOffError: (502, "engine_broke_off"),
    DatabaseUnavailableError: (503, "database_unavailable"),
}
_DEFECT_CODE: Final = "internal_error"
_RETRY_AFTER_SECONDS: Final = 2.0
_HTTP_CODES: Final = {404: "not_found", 405: "method_not_allowed"}


def problem_response(problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    """Render a problem document with its media type, or as the callers of its address expect it."""
    if problem.instance in OPENAI_PATHS:
        return openai_error_response(problem, headers)
    body = problem.model_dump(mode="json", exclude_none=True)
    return JSONResponse(body, problem.status, headers=headers, media_type=PROBLEM_MEDIA_TYPE)


def problem_of(error: TandemError, instance: str | None = None) -> Problem:
    """Describe an expected error as a problem; a class that the table lacks is a defect and raises KeyError."""
    status, code = PROBLEMS[type(error)]
    field = {"message_too_long": "content", "unknown_persona": "persona", "model_not_found": "model"}.get(
        code
    )
    fields = (FieldError(field=field, message=str(error)),) if field else ()
    return Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=str(error),
        code=code,
        instance=instance,
        errors=fields,
    )


def problem_of_failed_reply(reply: Message) -> Problem:
    """Describe why a stored reply failed, in the same words whether it failed now or long ago."""
    statuses = {code: status for status, code in PROBLEMS.values()}
    code = reply.error_code or _DEFECT_CODE
    return Problem(
        title="Reply failed", status=statuses.get(code, 500), detail=reply.error_detail or "", code=code
    )


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""
    app.add_exception_handler(TandemError, _on_expected)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_defect)


def _on_expected(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TandemError)  # noqa: S101 - the handler's registration says so
    return expected_problem_response(request.url.path, error)


def expected_problem_response(path: str, error: TandemError) -> JSONResponse:
    """Answer an expected error on `path`, with the headers that tell what to do."""
    headers = {}
    if isinstance(error, TransientError):
        headers["Retry-After"] = str(math.ceil(error.retry_after or _RETRY_AFTER_SECONDS))
    if isinstance(error, errors.RateLimitedError):
        headers["RateLimit"] = f'"replies";r=0;t={headers["Retry-After"]}'
    if isinstance(error, errors.UnauthenticatedError):
        headers["WWW-Authenticate"] = "Bearer"
    return problem_response(problem_of(error, path), headers)


def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the handler's registration says so
    found = field_errors(error.errors())
    detail = "; ".join(f"{e.field}: {e.message}" for e in found)
    return problem_response(
        Problem(
            title=HTTPStatus.UNPROCESSABLE_ENTITY.phrase,
            status=422,
            detail=detail,
            code="invalid_request",
            instance=request.url.path,
            errors=found,
        )
    )


def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - the handler's registration says so
    if error.status_code == HTTPStatus.BAD_REQUEST:  # FastAPI's word for JSON that it cannot even parse
        message = "expected JSON in UTF-8, with numbers and nesting of a reasonable size"
        return _on_invalid(
            request, RequestValidationError([{"type": "json_invalid", "loc": ("body",), "msg": message}])
        )
    phrase = HTTPStatus(error.status_code).phrase
    code = _HTTP_CODES.get(error.status_code, "http_error")
    return problem_response(
        Problem(
            title=phrase,
            status=error.status_code,
            detail=_http_detail(request, error),
            code=code,
            instance=request.url.path,
        ),
        dict(error.headers or {}),
    )


def _http_detail(request: Request, error: HTTPException) -> str:
    asked = f"{request.method} {request.url.path}"
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"{asked}: not found; /openapi.json lists what there is"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{asked}: expected another method; the Allow header names one"
    return str(error.detail)


def _on_defect(request: Request, error: Exception) -> JSONResponse:
    logger.error("request.crashed", exc_info=error, extra={"path": request.url.path})
    return problem_response(
        Problem(
            title=HTTPStatus.INTERNAL_SERVER_ERROR.phrase,
            status=500,
            detail="Chat failed on this request. The log tells why; the request can be repeated.",
            code=_DEFECT_CODE,
            instance=request.url.path,
        )
    )
