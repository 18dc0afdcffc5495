"""The inbox: remembers which messages had their effect, in the same transaction as the effect itself.

Keys are `request_id`s and the like, never Pub/Sub's message ids: a retried publish makes a second message with a new id.
"""

from datetime import datetime

from sqlalchemy import Column, MetaData, String, Table, delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from tandem_messaging.database import UtcDateTime, database_now


def inbox_table(metadata: MetaData) -> Table:
    """Define the table `inbox` on `metadata`."""
    return Table(
        "inbox",
        metadata,
        Column("key", String(255), primary_key=True),
        Column("seen_at", UtcDateTime, nullable=False, index=True),
    )


async def first_time(session: AsyncSession, table: Table, key: str) -> bool:
    """Record `key` in the caller's transaction; False when it was there already, so the effect must not happen again."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(table).values(key=key, seen_at=await database_now(session)).on_conflict_do_nothing()
    return (await session.execute(statement.returning(table.c.key))).first() is not None


async def forget_older(session: AsyncSession, table: Table, before: datetime) -> None:
    """Delete keys last seen before `before`; keep them longer than the broker keeps messages (7 days)."""
    await session.execute(delete(table).where(table.c.seen_at < before))
