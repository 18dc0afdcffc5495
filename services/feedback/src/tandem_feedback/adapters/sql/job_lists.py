"""Reads jobs in numbers: pages of them, a job's trail, a batch's progress."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from tandem_feedback.adapters.sql.job_rows import job_of
from tandem_feedback.adapters.sql.tables import batches, job_changes, jobs
from tandem_feedback.domain.batch import BatchState
from tandem_feedback.domain.errors import BatchNotFoundError
from tandem_feedback.domain.job import Change, Job, JobState, Progress


class JobLists:
    """The reading part of `ports.Transaction`."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def history(self, request_id: str, *, after: int = 0) -> Sequence[Change]:
        query = (
            select(job_changes)
            .where(job_changes.c.request_id == request_id, job_changes.c.number > after)
            .order_by(job_changes.c.number)
        )
        return [
            Change(row.number, JobState(row.state), row.at, row.attempts, row.detail)
            for row in await self._session.execute(query)
        ]

    async def jobs(
        self,
        *,
        limit: int,
        conversation_id: str | None = None,
        batch_id: str | None = None,
        state: JobState | None = None,
        before: tuple[datetime, str] | None = None,
    ) -> Sequence[Job]:
        query = select(jobs).order_by(jobs.c.received_at.desc(), jobs.c.request_id.desc()).limit(limit)
        wanted = {jobs.c.conversation_id: conversation_id, jobs.c.batch_id: batch_id, jobs.c.state: state}
        for column, value in wanted.items():
            if value is not None:
                query = query.where(column == value)
        if before is not None:
            query = query.where(tuple_(jobs.c.received_at, jobs.c.request_id) < tuple_(*before))
        return [job_of(row) for row in await self._session.execute(query)]

    async def progress(self, batch_id: str) -> Progress:
        counting = (
            select(jobs.c.state, func.count()).where(jobs.c.batch_id == batch_id).group_by(jobs.c.state)
        )
        found = {JobState(state): count for state, count in await self._session.execute(counting)}
        known = select(batches.c.total, batches.c.state).where(batches.c.id == batch_id)
        rerun = (await self._session.execute(known)).one_or_none()
        if not found and rerun is None:
            raise BatchNotFoundError(f"batch {batch_id}: not found, no request names it")
        waiting = 0
        if rerun is not None and rerun.state == BatchState.FEEDING:
            waiting = max(0, rerun.total - sum(found.values()))
        return Progress(batch_id, {state: found.get(state, 0) for state in JobState}, waiting)
