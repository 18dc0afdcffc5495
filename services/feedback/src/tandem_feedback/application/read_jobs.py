"""Shows where requests stand: one with its trail, pages of many, a batch's progress, and each as a stream to follow."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from tandem_feedback.application.jobs_port import Store
from tandem_feedback.domain.job import Change, Job, JobState, Progress

# Changes are looked for this often, whichever process makes them.
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class JobFilter:
    """Which jobs to list; what is None does not matter."""

    conversation_id: str | None = None
    batch_id: str | None = None
    state: JobState | None = None


Position = tuple[datetime, str]


class ReadJobs:
    """The use cases of whoever waits for feedback. No transaction is open while a stream waits."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def one(self, request_id: str) -> tuple[Job, Sequence[Change]]:
        """Return a job with its audit trail. Raises JobNotFoundError."""
        async with self._store.read() as transaction:
            return await transaction.job(request_id), await transaction.history(request_id)

    async def page(
        self, wanted: JobFilter, *, limit: int, before: Position | None
    ) -> tuple[Sequence[Job], Position | None]:
        """Return up to `limit` jobs, newest first, and where the next page starts, if there is one."""
        async with self._store.read() as transaction:
            found = await transaction.jobs(
                limit=limit + 1,
                conversation_id=wanted.conversation_id,
                batch_id=wanted.batch_id,
                state=wanted.state,
                before=before,
            )
        shown = found[:limit]
        more = len(found) > limit
        return shown, (shown[-1].received_at, shown[-1].request_id) if more else None

    async def batch(self, batch_id: str) -> Progress:
        """Raises BatchNotFoundError."""
        async with self._store.read() as transaction:
            return await transaction.progress(batch_id)

    async def follow(self, request_id: str, *, after: int) -> AsyncIterator[Change | Job]:
        """Yield the changes numbered above `after` as they come, and the job itself once it has its outcome."""
        while True:
            async with self._store.read() as transaction:
                job = await transaction.job(request_id)
                changes = await transaction.history(request_id, after=after)
            for change in changes:
                after = change.number
                yield change
            if job.state.is_final:
                yield job
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def follow_batch(self, batch_id: str) -> AsyncIterator[Progress]:
        """Yield a batch's progress now and at each change, until every request in it has its outcome."""
        shown: Progress | None = None
        while shown is None or not shown.is_final:
            progress = await self.batch(batch_id)
            if progress != shown:
                shown = progress
                yield progress
                continue
            await asyncio.sleep(_POLL_SECONDS)
