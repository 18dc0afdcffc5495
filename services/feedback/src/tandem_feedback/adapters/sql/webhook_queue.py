"""Webhook deliveries as rows, added in the transaction of the outcome that they tell, and worked off like an outbox."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tandem_contracts.feedback import FeedbackOutcome
from tandem_feedback.adapters.sql.tables import webhook_attempts, webhook_deliveries
from tandem_feedback.domain.webhooks import (
    Answer,
    Delivery,
    DeliveryState,
    LoggedAttempt,
    LoggedDelivery,
)
from tandem_messaging.database import Database, database_now

_MAX_DETAIL = 500


async def add_webhook(session: AsyncSession, url: str, outcome: FeedbackOutcome, *, now: datetime) -> None:
    """Plan the delivery of `outcome` to `url` in the caller's transaction."""
    await session.execute(
        insert(webhook_deliveries).values(
            id=uuid4().hex,
            request_id=outcome.request_id,
            url=url,
            event_type=outcome.event_type,
            body=outcome.model_dump_json().encode(),
            state=DeliveryState.PENDING.value,
            attempts=0,
            due_at=now,
            created_at=now,
        )
    )


class SqlWebhookQueue:
    """`application.deliver_webhooks.WebhookQueue` on feedback's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim_due(self, *, limit: int, lease: timedelta) -> Sequence[Delivery]:
        if not await self._is_any_due():
            return ()
        async with self._database.write() as session:
            now = await database_now(session)
            due = (
                select(webhook_deliveries.c.id)
                .where(*_due(now))
                .order_by(webhook_deliveries.c.due_at)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            claimed = await session.execute(
                update(webhook_deliveries)
                .where(webhook_deliveries.c.id.in_(due.scalar_subquery()))
                .values(due_at=now + lease, attempts=webhook_deliveries.c.attempts + 1)
                .returning(webhook_deliveries)
            )
            return [_delivery(row) for row in claimed]

    async def _is_any_due(self) -> bool:
        """Look without the write lock, which SQLite has only one of."""
        async with self._database.read() as session:
            query = select(webhook_deliveries.c.id).where(*_due(await database_now(session))).limit(1)
            return (await session.execute(query)).first() is not None

    async def record(
        self, delivery: Delivery, answer: Answer, *, state: DeliveryState, again_after: timedelta | None
    ) -> None:
        async with self._database.write() as session:
            now = await database_now(session)
            await session.execute(
                insert(webhook_attempts).values(
                    delivery_id=delivery.id,
                    number=delivery.attempts,
                    at=now,
                    status=answer.status,
                    detail=answer.detail.replace("\x00", "")[:_MAX_DETAIL],
                )
            )
            await session.execute(
                update(webhook_deliveries)
                .where(webhook_deliveries.c.id == delivery.id)
                .values(state=state.value, due_at=now + (again_after or timedelta()))
            )

    async def log(self, request_id: str) -> Sequence[LoggedDelivery]:
        deliveries = (
            select(webhook_deliveries)
            .where(webhook_deliveries.c.request_id == request_id)
            .order_by(webhook_deliveries.c.created_at, webhook_deliveries.c.id)
        )
        async with self._database.read() as session:
            rows = (await session.execute(deliveries)).all()
            return [LoggedDelivery(_delivery(row), await _attempts(session, row.id)) for row in rows]

    async def forget(self, *, older_than: timedelta) -> None:
        async with self._database.write() as session:
            before = await database_now(session) - older_than
            old = webhook_deliveries.c.created_at < before
            ids = select(webhook_deliveries.c.id).where(old)
            await session.execute(delete(webhook_attempts).where(webhook_attempts.c.delivery_id.in_(ids)))
            await session.execute(delete(webhook_deliveries).where(old))


def _due(now: datetime) -> tuple[Any, ...]:
    pending = webhook_deliveries.c.state == DeliveryState.PENDING.value
    return (pending, webhook_deliveries.c.due_at <= now)


async def _attempts(session: AsyncSession, delivery_id: str) -> list[LoggedAttempt]:
    query = (
        select(webhook_attempts)
        .where(webhook_attempts.c.delivery_id == delivery_id)
        .order_by(webhook_attempts.c.number)
    )
    return [
        LoggedAttempt(row.number, row.at, Answer(row.status, row.detail))
        for row in await session.execute(query)
    ]


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        request_id=row.request_id,
        url=row.url,
        event_type=row.event_type,
        body=row.body,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        created_at=row.created_at,
    )
