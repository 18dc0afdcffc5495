"""`ports.Store` on SQLAlchemy. Every statement that ends or keeps a claim names its fence, so that a late worker changes nothing."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tandem_contracts import topics
from tandem_contracts.envelope import Envelope
from tandem_contracts.feedback import FeedbackCancelledV1, FeedbackOutcome, FeedbackRequestedV1
from tandem_feedback.adapters.sql.inserting import insert_if_new
from tandem_feedback.adapters.sql.job_lists import JobLists
from tandem_feedback.adapters.sql.job_rows import (
    OPEN_STATES,
    body_hash,
    job_of,
    new_job_values,
    outcome_values,
    reopened_values,
)
from tandem_feedback.adapters.sql.tables import cancellations, job_changes, jobs, outbox
from tandem_feedback.adapters.sql.webhook_queue import add_webhook
from tandem_feedback.application.jobs_port import Accepted
from tandem_feedback.domain.errors import (
    AttemptPausedError,
    JobNotFoundError,
    JobTakenError,
    RequestMismatchError,
    TooManyAttemptsError,
)
from tandem_feedback.domain.job import Claim, Job, JobState
from tandem_feedback.domain.outcomes import deadline_exceeded
from tandem_messaging.database import Database, database_now
from tandem_messaging.outbox import enqueue

SOURCE = "/tandem/feedback"
_MAX_DETAIL = 500


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


class SqlTransaction(JobLists):
    """`ports.Transaction` on one session."""

    def __init__(self, session: AsyncSession) -> None:
        super().__init__(session)

    async def now(self) -> datetime:
        return await database_now(self._session)

    async def job(self, request_id: str) -> Job:
        return job_of(await self._row(request_id))

    async def accept(self, request: FeedbackRequestedV1, *, default_deadline: timedelta) -> Accepted:
        now = await self.now()
        values = new_job_values(request, now=now, default_deadline=default_deadline)
        if await insert_if_new(self._session, jobs, jobs.c.request_id, values):
            await self._note(request.request_id, JobState.QUEUED, "accepted", now=now, attempts=0)
            await self._end_if_called_off(request)
            return Accepted(await self.job(request.request_id), is_new=True)
        row = await self._row(request.request_id, lock=True)
        if row.body_hash != body_hash(request):
            raise RequestMismatchError(
                f"request {request.request_id}: came before with another body, and that one stands; "
                "use a new request_id for a new request"
            )
        return Accepted(job_of(row), is_new=False)

    async def send_to_workers(self, request: FeedbackRequestedV1) -> None:
        await enqueue(self._session, outbox, topics.FEEDBACK_REQUESTS, Envelope.of(request, source=SOURCE))

    async def claim(self, request_id: str, *, owner: str, lease: timedelta) -> Claim:
        now = await self.now()
        row = await self._row(request_id, lock=True)
        # It was open when the caller looked, in a transaction of its own; a finished job must never run once more.
        if row.state not in OPEN_STATES:
            raise JobTakenError(f"request {request_id}: another worker has finished it meanwhile")
        if row.leased_until is not None and row.leased_until > now:
            raise JobTakenError(f"request {request_id}: another worker is on it")
        if row.retry_at is not None and row.retry_at > now:
            left = (row.retry_at - now).total_seconds()
            raise AttemptPausedError(
                f"request {request_id}: the next attempt is due in {left:.0f} s", retry_after=left
            )
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
                retry_at=None,
                touched_at=now,
            )
        )
        how = "taken over: its worker was not heard of any more" if row.leased_until else "started"
        await self._note(request_id, JobState.RUNNING, how, now=now, attempts=claim.attempts)
        return claim

    async def holds(self, claim: Claim) -> bool:
        found = await self._session.execute(select(jobs.c.request_id).where(*_claimed(claim)))
        return found.first() is not None

    async def renew(self, claim: Claim, *, lease: timedelta) -> bool:
        now = await self.now()
        return await self._update_claimed(claim, leased_until=now + lease, touched_at=now)

    async def give_back(
        self, claim: Claim, *, count_attempt: bool, reason: str = "", retry_after: timedelta | None = None
    ) -> None:
        now = await self.now()
        attempts = claim.attempts if count_attempt else claim.attempts - 1
        given_back = await self._update_claimed(
            claim,
            state=JobState.QUEUED.value,
            attempts=attempts,
            leased_by=None,
            leased_until=None,
            retry_at=now + retry_after if retry_after else None,
            touched_at=now,
        )
        if given_back:
            await self._note(claim.request_id, JobState.QUEUED, reason, now=now, attempts=attempts)

    async def finish(self, claim: Claim, outcome: FeedbackOutcome) -> bool:
        return await self._conclude(outcome, *_claimed(claim))

    async def end(self, outcome: FeedbackOutcome) -> bool:
        return await self._conclude(outcome, _is_open(outcome.request_id), _is_unattended(await self.now()))

    async def cancel(self, request_id: str) -> Job | None:
        try:
            row = await self._row(request_id, lock=True)
        except JobNotFoundError:
            values = {"request_id": request_id, "asked_at": await self.now()}
            await insert_if_new(self._session, cancellations, cancellations.c.request_id, values)
            return None
        job = job_of(row)
        if job.state.is_final:
            return job
        await self._conclude(await self._cancelled(job), _is_open(request_id))
        return await self.job(request_id)

    async def reopen(self, request_id: str) -> None:
        """Let a job be tried anew that failed after too many attempts; any other one stays as it is."""
        now = await self.now()
        try:
            job = job_of(await self._row(request_id, lock=True))
        except JobNotFoundError:
            return
        if getattr(job.outcome, "code", None) != TooManyAttemptsError.code:
            return
        await self._session.execute(
            update(jobs)
            .where(jobs.c.request_id == request_id)
            .values(**reopened_values(job, now), touched_at=now)
        )
        await self._note(request_id, JobState.QUEUED, "replayed from the dead letters", now=now, attempts=0)

    async def announce(self, outcome: FeedbackOutcome) -> None:
        await enqueue(self._session, outbox, topics.FEEDBACK_RESULTS, Envelope.of(outcome, source=SOURCE))

    async def requeue_abandoned(self, *, older_than: timedelta, limit: int) -> Sequence[str]:
        now = await self.now()
        due = or_(jobs.c.retry_at.is_(None), jobs.c.retry_at < now)
        abandoned = self._unattended(jobs.c.touched_at < now - older_than, due, now=now, limit=limit)
        rows = (await self._session.execute(abandoned)).all()
        for row in rows:
            await self.send_to_workers(FeedbackRequestedV1.model_validate_json(row.request))
            await self._session.execute(
                update(jobs).where(jobs.c.request_id == row.request_id).values(touched_at=now)
            )
        return [row.request_id for row in rows]

    async def end_overdue(self, *, limit: int) -> Sequence[str]:
        now = await self.now()
        overdue = self._unattended(jobs.c.deadline_at <= now, now=now, limit=limit)
        rows = (await self._session.execute(overdue)).all()
        for row in rows:
            await self.end(deadline_exceeded(job_of(row), now))
        return [row.request_id for row in rows]

    async def forget_cancellations(self, *, older_than: timedelta) -> None:
        before = await self.now() - older_than
        await self._session.execute(delete(cancellations).where(cancellations.c.asked_at < before))

    async def _end_if_called_off(self, request: FeedbackRequestedV1) -> None:
        known = cancellations.c.request_id == request.request_id
        if (await self._session.execute(select(cancellations).where(known))).first() is None:
            return
        await self.end(await self._cancelled(await self.job(request.request_id)))
        await self._session.execute(delete(cancellations).where(known))

    async def _cancelled(self, job: Job) -> FeedbackCancelledV1:
        return FeedbackCancelledV1(
            request_id=job.request_id, conversation_id=job.conversation_id, cancelled_at=await self.now()
        )

    async def _conclude(self, outcome: FeedbackOutcome, *condition: ColumnElement[bool]) -> bool:
        """Give the job its outcome where `condition` still holds; trail, event and webhook go with it."""
        now = await self.now()
        changed = await self._session.execute(
            update(jobs)
            .where(*condition)
            .values(**outcome_values(outcome), finished_at=now, touched_at=now)
            .returning(jobs.c.state, jobs.c.attempts, jobs.c.webhook_url)
        )
        row = changed.first()
        if row is None:
            return False
        detail = getattr(outcome, "code", "")
        await self._note(outcome.request_id, JobState(row.state), detail, now=now, attempts=row.attempts)
        await self.announce(outcome)
        if row.webhook_url:
            await add_webhook(self._session, row.webhook_url, outcome, now=now)
        return True

    async def _note(
        self, request_id: str, state: JobState, detail: str, *, now: datetime, attempts: int
    ) -> None:
        """Add to the audit trail; the job's row is locked by this transaction, so that numbers have no gaps."""
        last = select(func.coalesce(func.max(job_changes.c.number), 0)).where(
            job_changes.c.request_id == request_id
        )
        await self._session.execute(
            insert(job_changes).values(
                request_id=request_id,
                number=last.scalar_subquery() + literal(1),
                state=state.value,
                at=now,
                attempts=attempts,
                detail=detail.replace("\x00", "")[:_MAX_DETAIL],
            )
        )

    def _unattended(self, *condition: ColumnElement[bool], now: datetime, limit: int) -> Any:
        return (
            select(jobs)
            .where(jobs.c.state.in_(OPEN_STATES), _is_unattended(now), *condition)
            .order_by(jobs.c.touched_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )

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


def _is_open(request_id: str) -> ColumnElement[bool]:
    return (jobs.c.request_id == request_id) & jobs.c.state.in_(OPEN_STATES)


def _is_unattended(now: datetime) -> ColumnElement[bool]:
    return or_(jobs.c.leased_until.is_(None), jobs.c.leased_until < now)
