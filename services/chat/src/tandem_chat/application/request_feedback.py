"""Asks for feedback on a conversation: the request and its event are stored together, published later."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import uuid4

from tandem_chat.application.ports import Store
from tandem_chat.domain.conversation import Message, Role
from tandem_chat.domain.errors import NothingToJudgeError, ReplyInProgressError
from tandem_chat.domain.feedback import Feedback, FeedbackState
from tandem_contracts.feedback import FeedbackRequestedV1, RubricRef, Turn

# The event must stay under the envelope's limit with room for JSON escapes, which at worst take six bytes a character.
_MAX_TRANSCRIPT_CHARS = 150_000
_MAX_TURNS = 1000


class RequestFeedback:
    """The use case behind *Get feedback*."""

    def __init__(
        self, store: Store, *, reannounce_after: timedelta, on_committed: Callable[[], None]
    ) -> None:
        """`on_committed` is told of each request once it is stored, so that nobody waits for a poll."""
        self._store = store
        self._reannounce_after = reannounce_after
        self._on_committed = on_committed

    async def request(self, conversation_id: str, rubric: RubricRef) -> Feedback:
        """Store the request; it reaches the feedback service even if Pub/Sub is down now.

        Raises:
            ConversationNotFoundError: no such conversation.
            ReplyInProgressError: its last reply is still being written.
            NothingToJudgeError: it holds no reply yet.
        """
        async with self._store.write() as transaction:
            await transaction.lock_conversation(conversation_id)
            messages = await transaction.messages(conversation_id)
            turns = _turns_to_judge(conversation_id, messages)
            transcript = _newest_that_fit(turns)
            now = await transaction.now()
            feedback = Feedback(str(uuid4()), conversation_id, FeedbackState.PENDING, requested_at=now)
            event = FeedbackRequestedV1(
                request_id=feedback.id,
                conversation_id=conversation_id,
                transcript=tuple(transcript),
                earlier_turns_omitted=len(turns) - len(transcript),
                rubric=rubric,
                requested_at=now,
            )
            await transaction.add_feedback(feedback, event, reannounce_at=now + self._reannounce_after)
        self._on_committed()
        return feedback


def _turns_to_judge(conversation_id: str, messages: Sequence[Message]) -> list[Turn]:
    if messages and not messages[-1].state.is_final:
        raise ReplyInProgressError(
            f"conversation {conversation_id}: its last reply is still being written; wait or stop it"
        )
    if not any(message.role == Role.ASSISTANT and message.content for message in messages):
        raise NothingToJudgeError(f"conversation {conversation_id}: has no reply yet; send a message first")
    return [Turn(role=message.role.value, content=message.content) for message in messages if message.content]


def _newest_that_fit(turns: Sequence[Turn]) -> list[Turn]:
    kept: list[Turn] = []
    chars = 0
    for turn in reversed(turns[-_MAX_TURNS:]):
        chars += len(turn.content)
        if chars > _MAX_TRANSCRIPT_CHARS:
            break
        kept.append(turn)
    return kept[::-1]
