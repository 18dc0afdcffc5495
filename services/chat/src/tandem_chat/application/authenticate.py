"""Tells whose request it is from its bearer token. Which kinds of tokens there are is decided by the wiring."""

from collections.abc import Sequence
from typing import Protocol

from tandem_chat.domain.errors import UnauthenticatedError
from tandem_chat.domain.owner import LOCAL_OWNER, OWNER_CHARS


class TokenCheck(Protocol):
    """One kind of token."""

    def knows(self, token: str) -> bool:
        """Say whether `token` looks like this kind; cheap, and no proof of anything."""

    async def owner_of(self, token: str) -> str:
        """Return the owner whom `token` stands for.

        Raises:
            UnauthenticatedError: it is wrong, expired or revoked.
            SignInUnavailableError: it cannot be checked now.
        """


class Authenticate:
    """The use case before all others. Without any check everybody is the one local owner."""

    def __init__(self, checks: Sequence[TokenCheck]) -> None:
        self._checks = checks

    async def owner_of(self, token: str | None) -> str:
        """Return the owner; raises what `TokenCheck.owner_of` raises."""
        if not self._checks:
            return LOCAL_OWNER
        if not token:
            raise UnauthenticatedError(
                "expected the header `Authorization: Bearer <token>`, got none; sign in first"
            )
        for check in self._checks:
            if check.knows(token):
                return _usable(await check.owner_of(token))
        raise UnauthenticatedError("the bearer token is of no kind that is accepted here; sign in again")


def _usable(owner: str) -> str:
    if owner == LOCAL_OWNER or not 0 < len(owner) <= OWNER_CHARS or "\x00" in owner:
        raise UnauthenticatedError(
            f"the token names {owner[:40]!r}; expected 1 to {OWNER_CHARS} characters, and not {LOCAL_OWNER!r}"
        )
    return owner
