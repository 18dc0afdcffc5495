"""What chat's store promises of feedback, the same on SQLite and Postgres: event and row together, one outcome, patience."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from tandem_chat.adapters.sql.feedback_rows import mark_queued
from tandem_chat.adapters.sql.store import SqlStore
from tandem_chat.adapters.sql.tables import feedback
from tandem_chat.domain.conversation import Conversation
from tandem_chat.domain.errors import FeedbackNotFoundError
from tandem_chat.domain.feedback import Feedback, FeedbackState
from tandem_contracts.envelope import decode
from tandem_messaging.database import Database, database_now
from tandem_messaging.outbox import OutboxRow
from tests.support.chat_builders import outbox_rows
from tests.support.chat_events import REQUESTED_AT, add_feedback, completed, failed, requested

FIRST_WAIT_SECONDS = 60.0


@pytest.fixture
async def conversation_id(store: SqlStore) -> str:
    async with store.write() as transaction:
        await transaction.add_conversation(Conversation("c", "", REQUESTED_AT, REQUESTED_AT, 0))
    return "c"


async def _publish(database: Database) -> list[OutboxRow]:
    """Do what the relay does once Pub/Sub has the events."""
    rows = await outbox_rows(database)
    async with database.write() as session:
        await mark_queued(session, rows)
    return rows


async def _state(store: SqlStore, feedback_id: str = "f") -> FeedbackState:
    async with store.read() as transaction:
        return (await transaction.feedback(feedback_id)).state


async def _reannounced(store: SqlStore) -> list[str]:
    async with store.write() as transaction:
        return list(await transaction.reannounce_overdue(first_wait_seconds=FIRST_WAIT_SECONDS, limit=10))


async def test_request_and_its_event_are_stored_together(
    store: SqlStore, database: Database, conversation_id: str
) -> None:
    await add_feedback(store, conversation_id, feedback_id="f")

    (row,) = await outbox_rows(database)

    assert decode(row.data, row.attributes).event == requested("f", conversation_id)
    assert (row.topic, row.ordering_key) == ("feedback-requests", conversation_id)
    assert await _state(store) == FeedbackState.PENDING


async def test_request_that_is_rolled_back_leaves_no_event(
    store: SqlStore, database: Database, conversation_id: str
) -> None:
    with pytest.raises(RuntimeError, match="on purpose"):  # noqa: PT012 - the block is one transaction
        async with store.write() as transaction:
            pending = Feedback("f", conversation_id, FeedbackState.PENDING, REQUESTED_AT)
            event = requested("f", conversation_id)
            await transaction.add_feedback(pending, event, reannounce_at=REQUESTED_AT)
            raise RuntimeError("on purpose")

    assert await outbox_rows(database) == []
    with pytest.raises(FeedbackNotFoundError):
        await _state(store)


async def test_outcome_is_recorded_once(store: SqlStore, conversation_id: str) -> None:
    await add_feedback(store, conversation_id, feedback_id="f")

    async with store.write() as transaction:
        now = await transaction.now()
        assert await transaction.record_outcome(completed("f", conversation_id, score=5), at=now)
    for late in (completed("f", conversation_id, score=1), failed("f", conversation_id)):
        async with store.write() as transaction:
            assert not await transaction.record_outcome(late, at=now + timedelta(hours=1))

    async with store.read() as transaction:
        shown = await transaction.feedback("f")
    assert (shown.state, shown.finished_at, shown.error_code) == (FeedbackState.COMPLETED, now, None)
    assert shown.result is not None
    assert shown.result.score == 5


async def test_failure_is_shown_with_its_reason(store: SqlStore, conversation_id: str) -> None:
    await add_feedback(store, conversation_id, feedback_id="f")

    async with store.write() as transaction:
        assert await transaction.record_outcome(failed("f", conversation_id), at=REQUESTED_AT)
        shown = await transaction.feedback("f")

    assert (shown.state, shown.error_code) == (FeedbackState.FAILED, "no_judgement")
    assert shown.error_detail == "The model gave no judgement in three attempts."


async def test_outcome_of_an_unknown_request_is_ignored(store: SqlStore, conversation_id: str) -> None:
    async with store.write() as transaction:
        assert not await transaction.record_outcome(completed("foreign", conversation_id), at=REQUESTED_AT)
        assert await transaction.feedback_of(conversation_id) == []


async def test_published_request_is_queued(store: SqlStore, database: Database, conversation_id: str) -> None:
    await add_feedback(store, conversation_id, feedback_id="f")

    await _publish(database)

    assert await _state(store) == FeedbackState.QUEUED


async def test_outcome_that_overtook_the_note_of_publishing_stays(
    store: SqlStore, database: Database, conversation_id: str
) -> None:
    await add_feedback(store, conversation_id, feedback_id="f")
    async with store.write() as transaction:
        await transaction.record_outcome(completed("f", conversation_id), at=REQUESTED_AT)

    await _publish(database)

    assert await _state(store) == FeedbackState.COMPLETED


async def test_overdue_request_is_announced_again_unchanged_after_twice_the_wait_each_time(
    store: SqlStore, database: Database, conversation_id: str
) -> None:
    await add_feedback(store, conversation_id, feedback_id="f")
    (first,) = await _publish(database)
    waits: list[float] = []
    for _ in range(3):
        before = await _now(database)
        assert await _reannounced(store) == ["f"]
        assert await _reannounced(store) == []
        waits.append(round((await _due_at(database) - before).total_seconds() / FIRST_WAIT_SECONDS))
        (again,) = await _publish(database)
        assert again.data == first.data
        await _make_due(database)

    assert waits == [2, 4, 8]


async def test_wait_between_announcements_stays_below_an_hour(
    store: SqlStore, database: Database, conversation_id: str
) -> None:
    await add_feedback(store, conversation_id, feedback_id="f")
    await _publish(database)
    for _ in range(20):
        await _make_due(database)
        assert await _reannounced(store) == ["f"]

    assert await _due_at(database) - await _now(database) <= timedelta(hours=1)


async def test_neither_unpublished_nor_finished_nor_patient_requests_are_announced_again(
    store: SqlStore, database: Database, conversation_id: str
) -> None:
    await add_feedback(store, conversation_id, feedback_id="finished")
    later = await _now(database) + timedelta(minutes=1)
    await add_feedback(store, conversation_id, feedback_id="patient", reannounce_at=later)
    await _publish(database)
    async with store.write() as transaction:
        await transaction.record_outcome(failed("finished", conversation_id), at=REQUESTED_AT)
    await add_feedback(store, conversation_id, feedback_id="unpublished")

    assert await _reannounced(store) == []


async def _now(database: Database) -> datetime:
    async with database.read() as session:
        return await database_now(session)


async def _due_at(database: Database) -> datetime:
    async with database.read() as session:
        due_at: datetime = (await session.execute(select(feedback.c.reannounce_at))).scalar_one()
        return due_at


async def _make_due(database: Database) -> None:
    async with database.write() as session:
        await session.execute(update(feedback).values(reannounce_at=REQUESTED_AT))
