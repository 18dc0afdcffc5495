"""The outbox: events are written in the same transaction as what they tell, and published afterwards by the relay.

Each service calls `outbox_table` on its own metadata and creates the table in its own migrations.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from tandem_contracts.envelope import Envelope, encode
from tandem_messaging.database import UtcDateTime, database_now
from tandem_messaging.ports import OutgoingMessage
from tandem_telemetry import inject_context


def outbox_table(metadata: MetaData) -> Table:
    """Define the table `outbox` on `metadata`."""
    return Table(
        "outbox",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("topic", String(255), nullable=False),
        Column("ordering_key", String(128), nullable=False),
        Column("request_id", String(128), nullable=False),
        Column("data", LargeBinary, nullable=False),
        Column("attributes", Text, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("leased_by", String(64)),
        Column("leased_until", UtcDateTime),
    )


@dataclass(frozen=True)
class OutboxRow:
    """A claimed row, ready to be published."""

    id: int
    topic: str
    ordering_key: str
    request_id: str
    data: bytes
    attributes: dict[str, str]
    created_at: datetime


async def enqueue(session: AsyncSession, table: Table, topic: str, envelope: Envelope) -> None:
    """Add an event to the caller's transaction; it is published if and only if that commits."""
    data, attributes = encode(envelope)
    message = OutgoingMessage(
        data, {**attributes, **inject_context()}, ordering_key=envelope.event.conversation_id
    )
    await enqueue_message(session, table, topic, message, request_id=envelope.event.request_id)


async def enqueue_message(
    session: AsyncSession, table: Table, topic: str, message: OutgoingMessage, *, request_id: str
) -> None:
    """Add a message as it is, which need be no event of ours; `request_id` is for logs, and may be empty."""
    await session.execute(
        insert(table).values(
            topic=topic,
            ordering_key=message.ordering_key,
            request_id=request_id,
            data=message.data,
            attributes=json.dumps(dict(message.attributes)),
            created_at=await database_now(session),
        )
    )


async def claim_due(
    session: AsyncSession, table: Table, *, owner: str, now: datetime, until: datetime, limit: int
) -> list[OutboxRow]:
    """Lease up to `limit` rows, oldest first, that nobody else holds at `now`."""
    free = or_(table.c.leased_until.is_(None), table.c.leased_until < now)
    due = select(table.c.id).where(free).order_by(table.c.id).limit(limit).with_for_update(skip_locked=True)
    claimed = await session.execute(
        update(table)
        .where(table.c.id.in_(due.scalar_subquery()))
        .values(leased_by=owner, leased_until=until)
        .returning(
            table.c.id,
            table.c.topic,
            table.c.ordering_key,
            table.c.request_id,
            table.c.data,
            table.c.attributes,
            table.c.created_at,
        )
    )
    rows = [OutboxRow(**{**row._mapping, "attributes": json.loads(row.attributes)}) for row in claimed]  # noqa: SLF001 - public by documentation
    return sorted(rows, key=lambda row: row.id)


async def remove_published(session: AsyncSession, table: Table, *, owner: str, ids: list[int]) -> None:
    """Delete rows that were published under `owner`'s lease; rows that somebody else claimed since stay theirs."""
    await session.execute(delete(table).where(table.c.id.in_(ids), table.c.leased_by == owner))


async def give_back(session: AsyncSession, table: Table, *, owner: str, ids: list[int]) -> None:
    """End `owner`'s lease early, so that the rows can be tried again at once."""
    await session.execute(
        update(table)
        .where(table.c.id.in_(ids), table.c.leased_by == owner)
        .values(leased_by=None, leased_until=None)
    )
