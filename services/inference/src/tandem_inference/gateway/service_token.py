"""Lets in only callers that know the service token, where one is set."""

from hmac import compare_digest

from fastapi import Request

from tandem_inference.errors import UnauthorizedError


class ServiceToken:
    """A dependency of every route that reaches an engine."""

    def __init__(self, token: str | None) -> None:
        self._expected = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, request: Request) -> None:
        """Raise UnauthorizedError unless the request carries the token."""
        if self._expected is None:
            return
        came = request.headers.get("authorization", "").encode()
        if not compare_digest(came, self._expected):
            raise UnauthorizedError(
                "The service token is missing or wrong: send `Authorization: Bearer <token>` with the value of "
                "TANDEM_INFERENCE_SERVICE_TOKEN."
            )
