"""The one table from errors to HTTP answers in OpenAI's shape, which clients of `/v1` expect.

Everything outside `/v1` and `/tokenize` answers with problem documents instead; see `entrypoints/http/errors.py`.
"""

import json
from typing import Any, NamedTuple

from fastapi import Response

from tandem_inference.errors import (
    BodyTooLargeError,
    DeadlineExceededError,
    EngineNotReadyError,
    InferenceError,
    InvalidRequestError,
    QueueFullError,
    QueueTimeoutError,
    TransientError,
    UnauthorizedError,
    UnknownEngineError,
    UnknownModelError,
)


class Kind(NamedTuple):
    """How one class of errors is told to a caller."""

    status: int
    type: str
    code: str


KINDS: dict[type[InferenceError], Kind] = {
    InvalidRequestError: Kind(400, "invalid_request_error", "invalid_request"),
    UnauthorizedError: Kind(401, "authentication_error", "invalid_api_key"),
    UnknownModelError: Kind(404, "invalid_request_error", "model_not_found"),
    UnknownEngineError: Kind(404, "invalid_request_error", "engine_not_found"),
    BodyTooLargeError: Kind(413, "invalid_request_error", "request_too_large"),
    EngineNotReadyError: Kind(503, "service_unavailable", "engine_not_ready"),
    QueueFullError: Kind(429, "rate_limit_error", "queue_full"),
    QueueTimeoutError: Kind(503, "service_unavailable", "queue_timeout"),
    DeadlineExceededError: Kind(504, "timeout_error", "deadline_exceeded"),
}
_BY_STATUS = {
    404: Kind(404, "invalid_request_error", "not_found"),
    405: Kind(405, "invalid_request_error", "method_not_allowed"),
    500: Kind(500, "server_error", "internal_error"),
}


def error_response(error: InferenceError) -> Response:
    """Answer `error` with its status, OpenAI's error object and, where waiting helps, `Retry-After`."""
    kind = KINDS[type(error)]
    headers = {}
    if isinstance(error, TransientError):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = "Bearer"
    return _response(kind, str(error), getattr(error, "param", None), headers)


def status_response(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """Answer an error that only has an HTTP status, such as an unknown path."""
    kind = _BY_STATUS.get(status, Kind(status, "invalid_request_error", "invalid_request"))
    return _response(kind, message, None, headers or {})


def error_event(error: InferenceError) -> bytes:
    """`error` as the last event of a stream whose status has been sent already."""
    kind = KINDS[type(error)]
    return b"data: " + json.dumps(_document(kind, str(error), None)).encode() + b"\n\n"


def _response(kind: Kind, message: str, param: str | None, headers: dict[str, str]) -> Response:
    content = json.dumps(_document(kind, message, param))
    return Response(content, kind.status, headers, media_type="application/json")


def _document(kind: Kind, message: str, param: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind.type, "param": param, "code": kind.code}}
