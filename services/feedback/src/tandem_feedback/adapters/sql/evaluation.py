"""`application.evaluation_port` on SQLAlchemy: batches and human scores beside the jobs that they are about."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Subquery, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tandem_contracts.feedback import FeedbackCompletedV1, FeedbackRequestedV1, RubricRef
from tandem_feedback.adapters.sql.inserting import insert_if_new
from tandem_feedback.adapters.sql.job_rows import OPEN_STATES, job_of
from tandem_feedback.adapters.sql.store import SqlTransaction
from tandem_feedback.adapters.sql.tables import batches, human_scores, jobs
from tandem_feedback.application.evaluation_port import ComparedJob, HumanScore, ScoredResult
from tandem_feedback.domain.batch import Batch, BatchDefinition, BatchState, Selection, rerun_prefix
from tandem_feedback.domain.errors import BatchMismatchError, BatchNotFoundError
from tandem_feedback.domain.job import JobState
from tandem_messaging.database import Database

# Rows hold whole transcripts or results: a few at a time are in memory.
_ROWS_AT_ONCE = 200


class SqlEvaluationStore:
    """Feedback's database behind `application.evaluation_port.EvaluationStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def read(self) -> AsyncIterator["SqlEvaluationTransaction"]:
        async with self._database.read() as session:
            yield SqlEvaluationTransaction(session)

    @asynccontextmanager
    async def write(self) -> AsyncIterator["SqlEvaluationTransaction"]:
        async with self._database.write() as session:
            yield SqlEvaluationTransaction(session)


class SqlEvaluationTransaction(SqlTransaction):
    """`application.evaluation_port.EvaluationTransaction` on one session."""

    async def add_batch(self, batch_id: str, definition: BatchDefinition) -> Batch:
        now = await self.now()
        newest = _newest_sources(definition.selection, until=now).subquery()
        conversations = (
            await self._session.execute(select(func.count()).select_from(newest).where(newest.c.place == 1))
        ).scalar_one()
        values = {
            "id": batch_id,
            "definition": definition.model_dump_json(),
            "state": BatchState.FEEDING.value,
            "total": conversations * len(definition.variants),
            "cursor": "",
            "created_at": now,
        }
        if await insert_if_new(self._session, batches, batches.c.id, values):
            await self._require_unused(batch_id)
        batch = await self.batch(batch_id)
        if batch.definition != definition:
            raise BatchMismatchError(
                f"batch {batch_id}: came before with another definition, and that one stands; use a new id for a new batch"
            )
        return batch

    async def _require_unused(self, batch_id: str) -> None:
        used = select(jobs.c.request_id).where(jobs.c.batch_id == batch_id).limit(1)
        if (await self._session.execute(used)).first() is not None:
            raise BatchMismatchError(
                f"batch {batch_id}: other requests name it; use a new id for a new batch"
            )

    async def batch(self, batch_id: str) -> Batch:
        row = (await self._session.execute(select(batches).where(batches.c.id == batch_id))).one_or_none()
        if row is None:
            raise BatchNotFoundError(f"batch {batch_id}: not found")
        return _batch(row)

    async def batches(self, *, limit: int) -> Sequence[Batch]:
        newest = select(batches).order_by(batches.c.created_at.desc(), batches.c.id.desc()).limit(limit)
        return [_batch(row) for row in await self._session.execute(newest)]

    async def lock_feeding(self) -> Sequence[Batch]:
        feeding = (
            select(batches)
            .where(batches.c.state == BatchState.FEEDING.value)
            .order_by(batches.c.created_at, batches.c.id)
            .with_for_update(skip_locked=True)
        )
        return [_batch(row) for row in await self._session.execute(feeding)]

    async def set_batch(self, batch_id: str, *, state: BatchState, cursor: str | None = None) -> None:
        values = {"state": state.value, **({} if cursor is None else {"cursor": cursor})}
        await self._session.execute(update(batches).where(batches.c.id == batch_id).values(**values))

    async def open_jobs(self, batch_id: str) -> int:
        open_jobs = select(func.count()).where(jobs.c.batch_id == batch_id, jobs.c.state.in_(OPEN_STATES))
        return int((await self._session.execute(open_jobs)).scalar_one())

    async def sources(
        self, selection: Selection, *, until: datetime, after: str, limit: int
    ) -> Sequence[FeedbackRequestedV1]:
        newest = _newest_sources(selection, until=until, after=after).subquery()
        rows = await self._session.execute(_first_places(newest).limit(limit))
        return [FeedbackRequestedV1.model_validate_json(row.request) for row in rows]

    async def compared(self, batch: Batch, variant: int | None) -> AsyncIterator[ComparedJob]:
        if variant is None:
            newest = _newest_sources(batch.definition.selection, until=batch.created_at).subquery()
            query = _first_places(newest)
        else:
            prefix = rerun_prefix(batch.id, variant)
            mine = (jobs.c.batch_id == batch.id, jobs.c.request_id.startswith(prefix, autoescape=True))
            query = select(jobs).where(*mine).order_by(jobs.c.conversation_id)
        rows = await self._session.stream(query.execution_options(yield_per=_ROWS_AT_ONCE))
        async for row in rows:
            outcome = job_of(row).outcome
            result = outcome.result if isinstance(outcome, FeedbackCompletedV1) else None
            yield ComparedJob(
                row.conversation_id, JobState(row.state), result, getattr(outcome, "detail", "")
            )

    async def put_human_score(self, score: HumanScore) -> HumanScore:
        is_postgres = self._session.get_bind().dialect.name == "postgresql"
        insert = postgresql.insert if is_postgres else sqlite.insert
        changing = {"score": score.score, "comment": score.comment, "scored_at": await self.now()}
        key = {"conversation_id": score.conversation_id, "rater": score.rater}
        statement = insert(human_scores).values(**key, **changing)
        stored = await self._session.execute(
            statement.on_conflict_do_update(index_elements=list(key), set_=changing).returning(human_scores)
        )
        return _human_score(stored.one())

    async def human_scores(self, *, conversation_id: str) -> Sequence[HumanScore]:
        of_conversation = human_scores.c.conversation_id == conversation_id
        query = select(human_scores).where(of_conversation).order_by(human_scores.c.rater)
        return [_human_score(row) for row in await self._session.execute(query)]

    async def scored_results(
        self, *, rubric_id: str | None, version: int | None
    ) -> AsyncIterator[ScoredResult]:
        newest_first = (
            select(jobs.c.conversation_id, jobs.c.outcome, human_scores.c.rater, human_scores.c.score)
            .join(human_scores, human_scores.c.conversation_id == jobs.c.conversation_id)
            .where(jobs.c.state == JobState.DONE.value)
            .order_by(jobs.c.conversation_id, jobs.c.finished_at.desc(), jobs.c.request_id.desc())
            .execution_options(yield_per=_ROWS_AT_ONCE)
        )
        conversation = ""
        seen: set[tuple[RubricRef, str, str]] = set()
        async for row in await self._session.stream(newest_first):
            if row.conversation_id != conversation:
                conversation, seen = row.conversation_id, set()
            result = json.loads(row.outcome)["result"]
            rubric, model = RubricRef(**result["rubric"]), result.get("adapter") or result["model"]
            key = (rubric, model, row.rater)
            if rubric_id in (None, rubric.id) and version in (None, rubric.version) and key not in seen:
                seen.add(key)
                yield ScoredResult(conversation, rubric, model, result["score"], row.score)


def _newest_sources(selection: Selection, *, until: datetime, after: str = "") -> Select[Any]:
    """Select every conversation's requests that are no re-runs, numbered by `place`: the newest is 1."""
    place = (
        func.row_number()
        .over(
            partition_by=jobs.c.conversation_id,
            order_by=(jobs.c.received_at.desc(), jobs.c.request_id.desc()),
        )
        .label("place")
    )
    reruns = select(batches.c.id)
    conditions: list[ColumnElement[bool]] = [
        jobs.c.received_at < until,
        jobs.c.conversation_id > after,
        jobs.c.batch_id.is_(None) | jobs.c.batch_id.not_in(reruns),
    ]
    if selection.conversation_ids is not None:
        conditions.append(jobs.c.conversation_id.in_(selection.conversation_ids))
    if selection.received_from is not None:
        conditions.append(jobs.c.received_at >= selection.received_from)
    if selection.received_until is not None:
        conditions.append(jobs.c.received_at < selection.received_until)
    return select(jobs, place).where(*conditions)


def _first_places(newest: Subquery) -> Select[Any]:
    return select(newest).where(newest.c.place == 1).order_by(newest.c.conversation_id)


def _batch(row: Row[Any]) -> Batch:
    return Batch(
        id=row.id,
        definition=BatchDefinition.model_validate_json(row.definition),
        state=BatchState(row.state),
        total=row.total,
        cursor=row.cursor,
        created_at=row.created_at,
    )


def _human_score(row: Row[Any]) -> HumanScore:
    return HumanScore(row.conversation_id, row.rater, row.score, row.comment, row.scored_at)
