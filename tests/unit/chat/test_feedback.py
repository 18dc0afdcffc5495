"""Feedback as chat sees it: what is asked for, and how its followers learn of the outcome."""

import asyncio

import pytest

from tandem_chat.application import follow_feedback, request_feedback
from tandem_chat.domain.errors import ConversationNotFoundError, NothingToJudgeError, ReplyInProgressError
from tandem_chat.domain.feedback import Feedback, FeedbackState
from tandem_contracts.envelope import Envelope, decode
from tandem_contracts.feedback import FeedbackEvent, FeedbackRequestedV1, RubricRef
from tandem_messaging.database import Database
from tests.support.chat_builders import Chat, eventually, outbox_rows
from tests.support.chat_events import completed, failed, requested

RUBRIC = RubricRef(id="kindness", version=2)


async def _requested(chat: Chat) -> Feedback:
    reply = await chat.answered("Hello!")
    return await chat.requesting.request(reply.conversation_id, RUBRIC)


async def _event(database: Database) -> FeedbackRequestedV1:
    (row,) = await outbox_rows(database)
    event = decode(row.data, row.attributes).event
    assert isinstance(event, FeedbackRequestedV1)
    return event


async def _deliver(chat: Chat, event: FeedbackEvent) -> None:
    await chat.feedback.take_outcome(Envelope.of(event, source="/tandem/feedback"))


class Follower:
    """A reader of a feedback's stream who never finds anything out by polling in time."""

    def __init__(self, chat: Chat, feedback_id: str) -> None:
        self.states: list[FeedbackState] = []
        self.task = asyncio.create_task(self._read(chat, feedback_id))

    async def _read(self, chat: Chat, feedback_id: str) -> None:
        async for shown in chat.feedback.follow(feedback_id):
            self.states.append(shown.state)


@pytest.fixture
def _never_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_feedback, "_POLL_SECONDS", 3600.0)


async def test_request_carries_the_whole_conversation(chat: Chat, database: Database) -> None:
    first = await chat.answered("one")
    await chat.answered("two", first.conversation_id)

    feedback = await chat.requesting.request(first.conversation_id, RUBRIC)

    event = await _event(database)
    assert (event.request_id, event.conversation_id) == (feedback.id, first.conversation_id)
    assert event.rubric == RUBRIC
    assert [turn.content for turn in event.transcript] == ["Hello?", "one", "Hello?", "two"]
    assert event.earlier_turns_omitted == 0


async def test_newest_turns_are_sent_when_the_conversation_is_too_long(
    chat: Chat, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_feedback, "_MAX_TRANSCRIPT_CHARS", 19)
    first = await chat.answered("a long first answer")
    await chat.answered("two", first.conversation_id)
    await chat.answered("three", first.conversation_id)

    await chat.requesting.request(first.conversation_id, RUBRIC)

    event = await _event(database)
    assert [turn.content for turn in event.transcript] == ["two", "Hello?", "three"]
    assert event.earlier_turns_omitted == 3


async def test_nothing_is_stored_for_a_conversation_that_cannot_be_judged(
    chat: Chat, database: Database
) -> None:
    empty = await chat.conversations.create("")
    writing = await chat.ask()

    with pytest.raises(NothingToJudgeError):
        await chat.requesting.request(empty.id, RUBRIC)
    with pytest.raises(ReplyInProgressError):
        await chat.requesting.request(writing.conversation_id, RUBRIC)
    with pytest.raises(ConversationNotFoundError):
        await chat.requesting.request("nowhere", RUBRIC)

    assert await outbox_rows(database) == []


@pytest.mark.usefixtures("_never_poll")
async def test_every_follower_learns_of_the_outcome_even_after_one_has_left(chat: Chat) -> None:
    feedback = await _requested(chat)
    leaving, *staying = [Follower(chat, feedback.id) for _ in range(3)]
    await eventually(lambda: leaving.states and all(f.states for f in staying), "all to begin")
    leaving.task.cancel()
    await asyncio.wait([leaving.task])

    await _deliver(chat, completed(feedback.id, feedback.conversation_id))
    await asyncio.wait_for(asyncio.gather(*(follower.task for follower in staying)), 30)

    for follower in staying:
        assert follower.states == [FeedbackState.PENDING, FeedbackState.COMPLETED]


async def test_change_by_another_process_is_noticed(
    chat: Chat, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow_feedback, "_POLL_SECONDS", 0.02)
    feedback = await _requested(chat)
    follower = Follower(chat, feedback.id)
    await eventually(lambda: follower.states, "the follower to begin")

    await _deliver(Chat.on(database), failed(feedback.id, feedback.conversation_id))
    await asyncio.wait_for(follower.task, 30)

    assert follower.states == [FeedbackState.PENDING, FeedbackState.FAILED]


async def test_late_follower_gets_the_end_at_once(chat: Chat) -> None:
    feedback = await _requested(chat)
    await _deliver(chat, completed(feedback.id, feedback.conversation_id))
    follower = Follower(chat, feedback.id)

    await asyncio.wait_for(follower.task, 30)

    assert follower.states == [FeedbackState.COMPLETED]


@pytest.mark.usefixtures("_never_poll")
async def test_closing_ends_the_streams(chat: Chat) -> None:
    feedback = await _requested(chat)
    follower = Follower(chat, feedback.id)
    await eventually(lambda: follower.states, "the follower to begin")

    chat.feedback.close()
    await asyncio.wait_for(follower.task, 30)

    assert follower.states == [FeedbackState.PENDING]


async def test_repeated_and_foreign_outcomes_change_nothing(chat: Chat) -> None:
    feedback = await _requested(chat)
    await _deliver(chat, completed(feedback.id, feedback.conversation_id, score=5))
    shown = await chat.feedback.read(feedback.id)

    for event in (
        completed(feedback.id, feedback.conversation_id, score=1),
        failed(feedback.id, feedback.conversation_id),
        completed("foreign", feedback.conversation_id),
        requested(feedback.id, feedback.conversation_id),
    ):
        await _deliver(chat, event)

    assert await chat.feedback.read(feedback.id) == shown
    assert await chat.feedback.of_conversation(feedback.conversation_id) == [shown]
