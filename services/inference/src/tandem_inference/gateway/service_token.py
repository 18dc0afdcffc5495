"""Lets in only callers that know a token, where one is set, and tells feedback's callers from others by theirs."""

from hmac import compare_digest

from fastapi import Request

from tandem_inference.errors import UnauthorizedError
from tandem_inference.gateway.request_class import RequestClass


class ServiceToken:
    """A dependency of every route that reaches an engine; sets the class of requests that name none."""

    def __init__(self, token: str | None, feedback_token: str | None = None) -> None:
        self._service = _header(token)
        self._feedback = _header(feedback_token)

    async def __call__(self, request: Request) -> None:
        """Raise UnauthorizedError unless the request carries one of the tokens, or none is asked for."""
        came = request.headers.get("authorization", "").encode()
        from_feedback = self._feedback is not None and compare_digest(came, self._feedback)
        request.state.default_class = RequestClass.BACKGROUND if from_feedback else RequestClass.INTERACTIVE
        if self._service is None or from_feedback:
            return
        if not compare_digest(came, self._service):
            raise UnauthorizedError(
                "The service token is missing or wrong: send `Authorization: Bearer <token>` with the value of "
                "TANDEM_INFERENCE_SERVICE_TOKEN."
            )


def _header(token: str | None) -> bytes | None:
    return None if token is None else f"Bearer {token}".encode()
