"""A feedback database with its store, looked into as tests need: jobs, announced events, and leases that run out."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from tandem_contracts.envelope import Envelope, decode
from tandem_contracts.feedback import FeedbackRequestedV1
from tandem_feedback.adapters.sql.store import SqlStore
from tandem_feedback.adapters.sql.tables import jobs, metadata, outbox
from tandem_feedback.domain.job import Claim, Job
from tandem_messaging.database import Database, database_now

LEASE = timedelta(minutes=1)
DEADLINE = timedelta(days=1)


class FeedbackBench:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.store = SqlStore(database)

    async def job(self, request: FeedbackRequestedV1) -> Job:
        async with self.store.read() as transaction:
            return await transaction.job(request.request_id)

    async def row(self, request: FeedbackRequestedV1) -> Any:
        async with self.database.read() as session:
            query = select(jobs).where(jobs.c.request_id == request.request_id)
            return (await session.execute(query)).one()

    async def announced(self, topic: str | None = None) -> list[Envelope]:
        """Return what the outbox holds for `topic`, oldest first."""
        async with self.database.read() as session:
            rows = (await session.execute(select(outbox).order_by(outbox.c.id))).all()
        return [decode(row.data, json.loads(row.attributes)) for row in rows if topic in (None, row.topic)]

    async def accept(self, request: FeedbackRequestedV1) -> Job:
        async with self.store.write() as transaction:
            return (await transaction.accept(request, default_deadline=DEADLINE)).job

    async def history(self, request: FeedbackRequestedV1) -> list[str]:
        """Return the states that the request went through, in order."""
        async with self.store.read() as transaction:
            return [change.state.value for change in await transaction.history(request.request_id)]

    async def cancel(self, request: FeedbackRequestedV1) -> Job | None:
        async with self.store.write() as transaction:
            return await transaction.cancel(request.request_id)

    async def claim(self, request: FeedbackRequestedV1, *, owner: str = "a worker") -> Claim:
        async with self.store.write() as transaction:
            return await transaction.claim(request.request_id, owner=owner, lease=LEASE)

    async def crash_while_working_on(self, request: FeedbackRequestedV1) -> None:
        """Leave the job as a killed worker does, long enough ago for its lease to have run out."""
        await self.accept(request)
        await self.claim(request, owner="a dead worker")
        await self.let_lease_run_out(request)

    async def let_lease_run_out(self, request: FeedbackRequestedV1) -> None:
        await self._set(request, leased_until=timedelta(seconds=-1))

    async def let_pause_pass(self, request: FeedbackRequestedV1) -> None:
        await self._set(request, retry_at=timedelta(seconds=-1))

    async def let_deadline_pass(self, request: FeedbackRequestedV1) -> None:
        await self._set(request, deadline_at=timedelta(seconds=-1))

    async def let_time_pass_since_touched(self, request: FeedbackRequestedV1, age: timedelta) -> None:
        await self._set(request, touched_at=-age)

    async def _set(self, request: FeedbackRequestedV1, **times: timedelta) -> None:
        async with self.database.write() as session:
            now = await database_now(session)
            values = {name: now + offset for name, offset in times.items()}
            await session.execute(
                update(jobs).where(jobs.c.request_id == request.request_id).values(**values)
            )


@asynccontextmanager
async def open_bench(url: str) -> AsyncIterator[FeedbackBench]:
    """Open an empty database with feedback's tables."""
    database = Database(url)
    async with database.write() as session:
        await (await session.connection()).run_sync(metadata.create_all)
    yield FeedbackBench(database)
    await database.close()
