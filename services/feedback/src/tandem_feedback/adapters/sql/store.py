"""`ports.Store` on SQLAlchemy. Every statement that ends or keeps a claim names its fence, so that a late worker changes nothing."""

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from tandem_contracts import topics
from tandem_contracts.envelope import Envelope
from tandem_contracts.feedback import (
    OUTCOME_MODELS,
    FeedbackCompletedV1,
    FeedbackFailedV1,
    FeedbackOutcome,
    FeedbackRequestedV1,
)
from tandem_feedback.adapters.sql.tables import jobs, outbox
from tandem_feedback.domain.errors import JobNotFoundError, JobTakenError, RequestMismatchError
from tandem_feedback.domain.job import Claim, Job, JobState
from tandem_messaging.database import Database, database_now
from tandem_messaging.outbox import enqueue

SOURCE = "/tandem/feedback"
_OPEN = (JobState.QUEUED.value, JobState.RUNNING.value)


class SqlStore:
    """Feedback's database behind `ports.Store`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def read(self) -> AsyncIterator["SqlTransaction"]:
        async with self._database.read() as session:
            yield SqlTransaction(session)

    @asynccontextmanager
    async def write(self) -> AsyncIterator["SqlTransaction"]:
        async with self._database.write() as session:
            yield SqlTransaction(session)


class SqlTransaction:
    """`ports.Transaction` on one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def now(self) -> datetime:
        return await database_now(self._session)

    async def job(self, request_id: str) -> Job:
        return _job(await self._row(request_id))

    async def accept(self, request: FeedbackRequestedV1) -> Job:
        now = await self.now()
        insert = postgresql.insert if self._session.get_bind().dialect.name == "postgresql" else sqlite.insert
        await self._session.execute(
            insert(jobs)
            .values(
                request_id=request.request_id,
                conversation_id=request.conversation_id,
                state=JobState.QUEUED.value,
                request=request.model_dump_json(),
                body_hash=_body_hash(request),
                attempts=0,
                fence=0,
                received_at=now,
                touched_at=now,
            )
            .on_conflict_do_nothing()
        )
        row = await self._row(request.request_id, lock=True)
        if row.body_hash != _body_hash(request):
            raise RequestMismatchError(
                f"request {request.request_id}: came before with another body, and that one stands; "
                "use a new request_id for a new request"
            )
        return _job(row)

    async def claim(self, request_id: str, *, owner: str, lease: timedelta) -> Claim:
        now = await self.now()
        row = await self._row(request_id, lock=True)
        if row.leased_until is not None and row.leased_until > now:
            raise JobTakenError(f"request {request_id}: another worker is on it")
        claim = Claim(request_id, fence=row.fence + 1, attempts=row.attempts + 1)
        await self._session.execute(
            update(jobs)
            .where(jobs.c.request_id == request_id)
            .values(
                state=JobState.RUNNING.value,
                fence=claim.fence,
                attempts=claim.attempts,
                leased_by=owner,
                leased_until=now + lease,
                touched_at=now,
            )
        )
        return claim

    async def renew(self, claim: Claim, *, lease: timedelta) -> bool:
        now = await self.now()
        return await self._update_claimed(claim, leased_until=now + lease, touched_at=now)

    async def give_back(self, claim: Claim, *, count_attempt: bool) -> None:
        await self._update_claimed(
            claim,
            state=JobState.QUEUED.value,
            attempts=claim.attempts if count_attempt else claim.attempts - 1,
            leased_by=None,
            leased_until=None,
            touched_at=await self.now(),
        )

    async def finish(self, claim: Claim, outcome: FeedbackOutcome) -> bool:
        now = await self.now()
        stored = await self._update_claimed(
            claim,
            state=_final_state(outcome).value,
            outcome_type=outcome.event_type,
            outcome=outcome.model_dump_json(),
            finished_at=now,
            touched_at=now,
            leased_by=None,
            leased_until=None,
        )
        if stored:
            await self.announce(outcome)
        return stored

    async def announce(self, outcome: FeedbackOutcome) -> None:
        await enqueue(self._session, outbox, topics.FEEDBACK_RESULTS, Envelope.of(outcome, source=SOURCE))

    async def requeue_abandoned(self, *, older_than: timedelta, limit: int) -> Sequence[str]:
        now = await self.now()
        unleased = or_(jobs.c.leased_until.is_(None), jobs.c.leased_until < now)
        abandoned = (
            select(jobs.c.request_id, jobs.c.request)
            .where(jobs.c.state.in_(_OPEN), jobs.c.touched_at < now - older_than, unleased)
            .order_by(jobs.c.touched_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = (await self._session.execute(abandoned)).all()
        for row in rows:
            request = FeedbackRequestedV1.model_validate_json(row.request)
            await enqueue(
                self._session, outbox, topics.FEEDBACK_REQUESTS, Envelope.of(request, source=SOURCE)
            )
            await self._session.execute(
                update(jobs).where(jobs.c.request_id == row.request_id).values(touched_at=now)
            )
        return [row.request_id for row in rows]

    async def _row(self, request_id: str, *, lock: bool = False) -> Row[Any]:
        query = select(jobs).where(jobs.c.request_id == request_id)
        row = (await self._session.execute(query.with_for_update() if lock else query)).one_or_none()
        if row is None:
            raise JobNotFoundError(f"request {request_id}: not found")
        return row

    async def _update_claimed(self, claim: Claim, **values: Any) -> bool:
        changed = await self._session.execute(
            update(jobs).where(*_claimed(claim)).values(**values).returning(jobs.c.request_id)
        )
        return changed.first() is not None


def _claimed(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    running = jobs.c.state == JobState.RUNNING.value
    return (jobs.c.request_id == claim.request_id, jobs.c.fence == claim.fence, running)


def _body_hash(request: FeedbackRequestedV1) -> str:
    """Hash what the requester asks for; when it asked is no part of that, so that a repeated request is the same one."""
    body = request.model_dump(mode="json", exclude={"requested_at"})
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _final_state(outcome: FeedbackOutcome) -> JobState:
    if isinstance(outcome, FeedbackCompletedV1):
        return JobState.DONE
    return JobState.FAILED if isinstance(outcome, FeedbackFailedV1) else JobState.CANCELLED


def _job(row: Row[Any]) -> Job:
    outcome = OUTCOME_MODELS[row.outcome_type].model_validate_json(row.outcome) if row.outcome else None
    return Job(
        request_id=row.request_id,
        conversation_id=row.conversation_id,
        state=JobState(row.state),
        attempts=row.attempts,
        fence=row.fence,
        received_at=row.received_at,
        finished_at=row.finished_at,
        outcome=outcome,
    )
