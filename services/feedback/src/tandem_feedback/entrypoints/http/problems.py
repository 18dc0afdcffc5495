"""The one table from feedback's errors to HTTP, and the handlers that answer with RFC 9457 problem documents."""

import logging
import math
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tandem_contracts.problem import PROBLEM_MEDIA_TYPE, FieldError, Problem, field_errors
from tandem_feedback.domain import errors
from tandem_messaging.errors import DatabaseUnavailableError, TandemError, TransientError

logger = logging.getLogger(__name__)

PROBLEMS: Final[dict[type[TandemError], tuple[int, str]]] = {
    errors.UnauthorizedError: (401, "unauthorized"),
    errors.JobNotFoundError: (404, "feedback_not_found"),
    errors.BatchNotFoundError: (404, "batch_not_found"),
    errors.DeadLetterNotFoundError: (404, "dead_letter_not_found"),
    errors.AlreadyFinishedError: (409, "already_finished"),
    errors.BatchMismatchError: (409, "batch_mismatch"),
    errors.RequestMismatchError: (409, "request_mismatch"),
    errors.JobTakenError: (409, "job_taken"),
    errors.JobLostError: (409, "job_lost"),
    errors.RequestTooLargeError: (413, "request_too_large"),
    errors.WebhookRefusedError: (422, "webhook_refused"),
    errors.UnexpectedEventError: (422, "unexpected_event"),
    errors.TooManyAttemptsError: (422, "too_many_attempts"),
    errors.UnknownRubricError: (422, "unknown_rubric"),
    errors.TranscriptTooLongError: (422, "transcript_too_long"),
    errors.OutputInvalidError: (502, "output_invalid"),
    errors.EngineRefusedError: (502, "engine_refused"),
    errors.EngineFailedError: (502, "engine_failed"),
    errors.EngineUnavailableError: (503, "engine_not_ready"),
    errors.EngineBusyError: (503, "engine_busy"),
    errors.AttemptPausedError: (503, "attempt_paused"),
    errors.WorkerDownError: (503, "worker_down"),
    DatabaseUnavailableError: (503, "database_unavailable"),
}
_RETRY_AFTER_SECONDS: Final = 2.0


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""
    app.add_exception_handler(TandemError, _on_expected)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_defect)


def _respond(
    request: Request,
    status: int,
    code: str,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    fields: tuple[FieldError, ...] = (),
) -> JSONResponse:
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        instance=request.url.path,
        errors=fields,
    )
    body = problem.model_dump(mode="json", exclude_none=True)
    return JSONResponse(body, status, headers=headers, media_type=PROBLEM_MEDIA_TYPE)


def _on_expected(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TandemError)  # noqa: S101 - the handler's registration says so
    status, code = PROBLEMS[type(error)]
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    if isinstance(error, TransientError):
        headers["Retry-After"] = str(math.ceil(error.retry_after or _RETRY_AFTER_SECONDS))
    return _respond(request, status, code, str(error), headers=headers)


def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the handler's registration says so
    found = field_errors(error.errors())
    detail = "; ".join(f"{field.field}: {field.message}" for field in found)
    return _respond(request, 422, "invalid_request", detail, fields=found)


def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - the handler's registration says so
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_").replace("-", "_")
    return _respond(request, error.status_code, code, str(error.detail), headers=dict(error.headers or {}))


def _on_defect(request: Request, error: Exception) -> JSONResponse:
    logger.error("request.crashed", exc_info=error, extra={"path": request.url.path})
    return _respond(request, 500, "internal_error", "Feedback failed on this request. The log tells why.")
