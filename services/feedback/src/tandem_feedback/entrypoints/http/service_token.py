"""Lets in only callers that know the service token, where one is set."""

from hmac import compare_digest

from fastapi import Request

from tandem_feedback.domain.errors import UnauthorizedError


async def require_service_token(request: Request) -> None:
    """Raise UnauthorizedError unless the request carries the token of the settings."""
    token = request.app.state.settings.service_token
    if token is None:
        return
    came = request.headers.get("authorization", "").encode()
    if not compare_digest(came, f"Bearer {token.get_secret_value()}".encode()):
        raise UnauthorizedError(
            "the service token is missing or wrong: send `Authorization: Bearer <token>` with the value of "
            "TANDEM_FEEDBACK_SERVICE_TOKEN"
        )
