"""JWTs of an OpenID Connect issuer, checked against its published keys.

Signature, issuer, audience and times are PyJWT's business; this fetches the keys, seldom, and turns errors into ours.
"""

import asyncio
import logging
import time
from typing import Final

import httpx
import jwt

from tandem_chat.domain.errors import SignInUnavailableError, UnauthenticatedError

logger = logging.getLogger(__name__)

# Asymmetric only: with HS256 an issuer's public key would pass for a secret.
_ALGORITHMS: Final = ("RS256", "ES256")
_REQUIRED: Final = ("exp", "iss", "aud", "sub")
_CLOCK_SKEW_SECONDS = 30
_KEYS_KEPT_SECONDS = 3600.0
# A token with a key id of its own making must not make us fetch at every request.
_FETCH_AGAIN_SECONDS = 30.0
_FETCH_TIMEOUT_SECONDS = 5.0
_MAX_TOKEN_CHARS = 16_384


class OidcTokens:
    """The `TokenCheck` for one issuer. Close it with the application."""

    def __init__(
        self, *, issuer: str, audience: str, jwks_url: str, client: httpx.AsyncClient | None = None
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._jwks_url = jwks_url
        self._client = client or httpx.AsyncClient(timeout=_FETCH_TIMEOUT_SECONDS)
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = float("-inf")
        self._fetching = asyncio.Lock()

    async def close(self) -> None:
        """Close the connections to the issuer."""
        await self._client.aclose()

    def knows(self, token: str) -> bool:
        return token.count(".") == 2 and len(token) <= _MAX_TOKEN_CHARS

    async def owner_of(self, token: str) -> str:
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in _ALGORITHMS:
                expected = " or ".join(_ALGORITHMS)
                raise UnauthenticatedError(
                    f"the token is signed with {header.get('alg')!r:.20}; expected {expected}"
                )
            claims = jwt.decode(
                token,
                await self._key(str(header.get("kid"))),
                algorithms=_ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                leeway=_CLOCK_SKEW_SECONDS,
                options={"require": list(_REQUIRED)},
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise UnauthenticatedError(f"the token is not valid here: {error}; sign in again") from None
        return str(claims["sub"])

    async def _key(self, key_id: str) -> jwt.PyJWK:
        async with self._fetching:
            age = time.monotonic() - self._fetched
            if age > _KEYS_KEPT_SECONDS or (key_id not in self._keys and age > _FETCH_AGAIN_SECONDS):
                await self._fetch()
        if key_id not in self._keys:
            raise UnauthenticatedError("the token's signing key is not among its issuer's; sign in again")
        return self._keys[key_id]

    async def _fetch(self) -> None:
        try:
            answer = await self._client.get(self._jwks_url)
            answer.raise_for_status()
            found = jwt.PyJWKSet.from_dict(answer.json())
        except (httpx.HTTPError, jwt.PyJWTError, ValueError, AttributeError) as error:
            logger.warning(
                "sign_in.keys_not_fetched", extra={"address": self._jwks_url, "reason": str(error)}
            )
            if self._keys:  # better the last keys than nobody's sign-in
                return
            raise SignInUnavailableError(
                f"tokens cannot be checked: their issuer's keys at {self._jwks_url} cannot be read: {error}"
            ) from error
        self._keys = {key.key_id: key for key in found.keys if key.key_id}
        self._fetched = time.monotonic()
