"""API keys: made and revoked by the command line, kept as hashes, checked at every request.

A key is `tandem_<id>_<secret>`. The secret has 256 random bits, so a plain SHA-256 of it cannot be guessed back.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from sqlalchemy import Row, insert, select, update

from tandem_chat.adapters.sql.tables import api_keys
from tandem_chat.domain.errors import UnauthenticatedError
from tandem_messaging.database import Database, database_now

_PREFIX = "tandem_"
_ID_BYTES, _SECRET_BYTES = 6, 32


@dataclass(frozen=True)
class ApiKey:
    """What may be told of a key: everything but its secret."""

    id: str
    owner: str
    label: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class ApiKeys:
    """The keys in chat's database; also the `TokenCheck` for them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, owner: str, *, label: str = "", lifetime: timedelta | None = None
    ) -> tuple[ApiKey, str]:
        """Store a new key of `owner`; return it with the token, which cannot be told again later."""
        key_id, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
        async with self._database.write() as session:
            now = await database_now(session)
            key = ApiKey(key_id, owner, label, now, None if lifetime is None else now + lifetime, None)
            await session.execute(insert(api_keys).values(**vars(key), secret_sha256=_hash(secret)))
        return key, f"{_PREFIX}{key_id}_{secret}"

    async def of(self, owner: str | None = None) -> Sequence[ApiKey]:
        """Return the keys of `owner`, or of all owners, oldest first."""
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
        if owner is not None:
            query = query.where(api_keys.c.owner == owner)
        async with self._database.read() as session:
            return [_key(row) for row in await session.execute(query)]

    async def revoke(self, key_id: str) -> bool:
        """End a key at once; False when there is none with this id. Idempotent."""
        key = update(api_keys).where(api_keys.c.id == key_id)
        async with self._database.write() as session:
            now = await database_now(session)
            await session.execute(key.where(api_keys.c.revoked_at.is_(None)).values(revoked_at=now))
            known = select(api_keys.c.id).where(api_keys.c.id == key_id)
            return (await session.execute(known)).first() is not None

    def knows(self, token: str) -> bool:
        return token.startswith(_PREFIX)

    async def owner_of(self, token: str) -> str:
        key_id, _, secret = token.removeprefix(_PREFIX).partition("_")
        row = None
        if key_id.isascii() and key_id.isalnum():
            async with self._database.read() as session:
                now = await database_now(session)
                row = (await session.execute(select(api_keys).where(api_keys.c.id == key_id))).one_or_none()
        if row is None or not compare_digest(row.secret_sha256, _hash(secret)):
            raise UnauthenticatedError("the API key is not known here; check that it was copied whole")
        if row.revoked_at is not None:
            raise UnauthenticatedError(f"the API key {key_id} has been revoked; ask for a new one")
        if row.expires_at is not None and row.expires_at <= now:
            raise UnauthenticatedError(f"the API key {key_id} has expired; ask for a new one")
        return str(row.owner)


def _hash(secret: str) -> str:
    return sha256(secret.encode(errors="replace")).hexdigest()


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(row.id, row.owner, row.label, row.created_at, row.expires_at, row.revoked_at)
