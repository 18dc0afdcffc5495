"""Webhook deliveries as rows: added in the transaction of the outcome that they tell, like the outbox's events."""

from datetime import datetime
from uuid import uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tandem_contracts.feedback import FeedbackOutcome
from tandem_feedback.adapters.sql.tables import webhook_deliveries


async def add_webhook(session: AsyncSession, url: str, outcome: FeedbackOutcome, *, now: datetime) -> None:
    """Plan the delivery of `outcome` to `url` in the caller's transaction."""
    await session.execute(
        insert(webhook_deliveries).values(
            id=uuid4().hex,
            request_id=outcome.request_id,
            url=url,
            event_type=outcome.event_type,
            body=outcome.model_dump_json().encode(),
            state="pending",
            attempts=0,
            due_at=now,
            created_at=now,
        )
    )
