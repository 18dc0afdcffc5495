"""The feedback half of chat's transaction: the request with its event, the outcome once, and announcing again."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tandem_chat.adapters.sql.tables import conversations, feedback, inbox, outbox
from tandem_chat.domain.errors import FeedbackNotFoundError
from tandem_chat.domain.feedback import Feedback, FeedbackState
from tandem_contracts import topics
from tandem_contracts.envelope import Envelope
from tandem_contracts.feedback import (
    FeedbackCompletedV1,
    FeedbackFailedV1,
    FeedbackOutcome,
    FeedbackRequestedV1,
    FeedbackResult,
)
from tandem_messaging.database import database_now
from tandem_messaging.inbox import first_time, forget_older
from tandem_messaging.outbox import OutboxRow, enqueue

SOURCE = "/tandem/chat"
_OPEN = (FeedbackState.PENDING.value, FeedbackState.QUEUED.value)
_MAX_REANNOUNCE_WAIT = timedelta(hours=1)


class FeedbackRows:
    """The part of `ports.WriteTransaction` that is about feedback."""

    def __init__(self, session: AsyncSession, owner: str | None = None) -> None:
        self._session = session
        self._owner = owner

    async def feedback(self, feedback_id: str) -> Feedback:
        query = select(feedback).join(conversations)
        query = query.where(feedback.c.id == feedback_id, *owned(self._owner))
        row = (await self._session.execute(query)).one_or_none()
        if row is None:
            raise FeedbackNotFoundError(f"feedback {feedback_id}: not found")
        return _feedback(row)

    async def feedback_of(self, conversation_id: str) -> Sequence[Feedback]:
        newest_first = (feedback.c.requested_at.desc(), feedback.c.id)
        query = select(feedback).join(conversations).order_by(*newest_first)
        query = query.where(feedback.c.conversation_id == conversation_id, *owned(self._owner))
        return [_feedback(row) for row in await self._session.execute(query)]

    async def add_feedback(
        self, requested: Feedback, request: FeedbackRequestedV1, *, reannounce_at: datetime
    ) -> None:
        await self._session.execute(
            insert(feedback).values(
                id=requested.id,
                conversation_id=requested.conversation_id,
                state=requested.state.value,
                requested_at=requested.requested_at,
                request=request.model_dump_json(),
                announcements=1,
                reannounce_at=reannounce_at,
            )
        )
        await self._announce(request)

    async def record_outcome(self, outcome: FeedbackOutcome, *, at: datetime) -> bool:
        ended = await self._session.execute(
            update(feedback)
            .where(feedback.c.id == outcome.request_id, feedback.c.state.in_(_OPEN))
            .values(finished_at=at, request=None, reannounce_at=None, **_outcome_values(outcome))
            .returning(feedback.c.id)
        )
        if ended.first() is None:
            return False
        return await first_time(self._session, inbox, f"outcome:{outcome.request_id}")

    async def reannounce_overdue(self, *, first_wait_seconds: float, limit: int) -> Sequence[str]:
        now = await database_now(self._session)
        overdue = (
            select(feedback.c.id, feedback.c.request, feedback.c.announcements)
            .where(feedback.c.state == FeedbackState.QUEUED.value, feedback.c.reannounce_at < now)
            .order_by(feedback.c.reannounce_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = (await self._session.execute(overdue)).all()
        for row in rows:
            wait = min(
                timedelta(seconds=first_wait_seconds) * 2 ** min(row.announcements, 16), _MAX_REANNOUNCE_WAIT
            )
            await self._session.execute(
                update(feedback)
                .where(feedback.c.id == row.id)
                .values(announcements=row.announcements + 1, reannounce_at=now + wait)
            )
            await self._announce(FeedbackRequestedV1.model_validate_json(row.request))
        return [row.id for row in rows]

    async def forget_outcomes(self, *, older_than: timedelta) -> None:
        await forget_older(self._session, inbox, await database_now(self._session) - older_than)

    async def _announce(self, request: FeedbackRequestedV1) -> None:
        envelope = Envelope.of(request, source=SOURCE)
        await enqueue(self._session, outbox, topics.FEEDBACK_REQUESTS, envelope)


def owned(owner: str | None) -> tuple[ColumnElement[bool], ...]:
    """The condition by which a query on conversations, or joined to them, keeps to `owner`; none for chat's own work."""
    return () if owner is None else (conversations.c.owner == owner,)


async def mark_queued(session: AsyncSession, rows: Sequence[OutboxRow]) -> None:
    """Note, in the relay's own transaction, that these requests are on the topic."""
    ids = [row.request_id for row in rows]
    await session.execute(
        update(feedback)
        .where(feedback.c.id.in_(ids), feedback.c.state == FeedbackState.PENDING.value)
        .values(state=FeedbackState.QUEUED.value)
    )


def _outcome_values(outcome: FeedbackOutcome) -> dict[str, str]:
    if isinstance(outcome, FeedbackCompletedV1):
        return {"state": FeedbackState.COMPLETED.value, "result": outcome.result.model_dump_json()}
    if isinstance(outcome, FeedbackFailedV1):
        return {
            "state": FeedbackState.FAILED.value,
            "error_code": outcome.code,
            "error_detail": outcome.detail,
        }
    return {"state": FeedbackState.CANCELLED.value}


def _feedback(row: Row[Any]) -> Feedback:
    return Feedback(
        id=row.id,
        conversation_id=row.conversation_id,
        state=FeedbackState(row.state),
        requested_at=row.requested_at,
        finished_at=row.finished_at,
        result=FeedbackResult.model_validate_json(row.result) if row.result else None,
        error_code=row.error_code,
        error_detail=row.error_detail,
    )
