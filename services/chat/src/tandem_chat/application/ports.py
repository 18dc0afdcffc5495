"""What chat's use cases need from outside: a store and an engine. `adapters` has the real ones.

A transaction of the store is short: nothing may await the engine or the broker inside it.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from tandem_chat.domain.allowance import Activity, DayOfUsage, TokenUsage
from tandem_chat.domain.conversation import Conversation, Message, MessageState
from tandem_chat.domain.feedback import Feedback
from tandem_chat.domain.persona import Sampling
from tandem_chat.domain.prompt import PromptMessage
from tandem_contracts.feedback import FeedbackOutcome, FeedbackRequestedV1


@dataclass(frozen=True)
class TokenCount:
    """Tokens of a prompt and the window of the model that counted them."""

    prompt_tokens: int
    window_tokens: int


@dataclass(frozen=True)
class ReplyPiece:
    """A piece of streamed text, with the tokens used so far; the last one carries the engine's `finish_reason`."""

    text: str
    finish_reason: str | None = None
    usage: TokenUsage | None = None


class Engine(Protocol):
    """The language model behind the inference gateway."""

    async def count_tokens(
        self, messages: Sequence[PromptMessage], *, model: str | None = None
    ) -> TokenCount:
        """Count a prompt with the tokenizer and chat template of `model`, or of the service's own.

        Raises:
            EngineNotReadyError: nothing can be counted now.
            EngineRefusedError: the gateway calls the request wrong (an unknown model, say).
        """

    def stream_reply(
        self,
        messages: Sequence[PromptMessage],
        *,
        max_tokens: int,
        model: str | None = None,
        sampling: Sampling | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[ReplyPiece]]:
        """Generate a reply by `model`, or by the service's own; leaving the context before the end frees the engine's slot at once.

        Raises:
            EngineNotReadyError: before the first piece.
            EngineBrokeOffError: after some pieces.
            EngineRefusedError: the gateway calls the request wrong.
        """

    async def require_ready(self) -> None:
        """Return when the engine serves.

        Raises:
            EngineNotReadyError: it does not; the message says why.
        """


class ReadTransaction(Protocol):
    """Consistent reading."""

    async def conversation(self, conversation_id: str) -> Conversation:
        """Raises ConversationNotFoundError."""

    async def conversations(
        self, *, limit: int, before: tuple[datetime, str] | None
    ) -> Sequence[Conversation]:
        """Return the most recently active first, from just before `(updated_at, id)`."""

    async def messages(self, conversation_id: str) -> Sequence[Message]:
        """Return all messages, oldest first; none for an unknown conversation."""

    async def message(self, message_id: str) -> Message:
        """Raises MessageNotFoundError."""

    async def feedback(self, feedback_id: str) -> Feedback:
        """Raises FeedbackNotFoundError."""

    async def feedback_of(self, conversation_id: str) -> Sequence[Feedback]:
        """Return the conversation's feedback, newest first."""

    async def stop_requested(self, message_id: str) -> bool:
        """Say whether somebody asked to stop this reply; also true when it was deleted."""

    async def activity(self, owner: str) -> Activity:
        """Return what `owner` has begun, has being written and has used."""

    async def usage(self, owner: str, *, days: int) -> Sequence[DayOfUsage]:
        """Return the usage of the last `days` days with any, newest first."""

    async def now(self) -> datetime:
        """Return the time that leases are measured by."""


class WriteTransaction(ReadTransaction, Protocol):
    """Reading and writing that become visible together."""

    async def lock_conversation(self, conversation_id: str) -> Conversation:
        """Keep other writers off this conversation until the end. Raises ConversationNotFoundError."""

    async def add_conversation(self, conversation: Conversation) -> None: ...

    async def touch_conversation(self, conversation_id: str, *, at: datetime, title: str | None) -> None:
        """Move the conversation to the top of the list; a `title` replaces an empty one."""

    async def delete_conversation(self, conversation_id: str) -> None:
        """Delete it with its messages and feedback; unknown ids are no error."""

    async def add_message(self, message: Message) -> None: ...

    async def claim_reply(self, message_id: str, *, owner: str, until: datetime) -> None:
        """Take a reply to (re)start it: empty text, queued, no error, leased by `owner`."""

    async def save_reply(
        self,
        message_id: str,
        *,
        owner: str,
        content: str,
        state: MessageState,
        until: datetime,
        error: tuple[str, str] | None = None,
        usage: TokenUsage | None = None,
    ) -> bool:
        """Store a reply's text, state and tokens; False when `owner` no longer holds it."""

    async def note_start(self, owner: str) -> None:
        """Count a reply that begins now."""

    async def add_usage(self, owner: str, usage: TokenUsage) -> None:
        """Add a reply's tokens to today's of `owner`."""

    async def forget_starts(self, *, older_than: timedelta) -> None:
        """Forget replies that began so long ago that no limit looks at them."""

    async def request_stop(self, message_id: str) -> None: ...

    async def interrupt_abandoned(self) -> Sequence[str]:
        """End unfinished replies whose lease has lapsed as interrupted; return their ids."""

    async def add_feedback(
        self, feedback: Feedback, request: FeedbackRequestedV1, *, reannounce_at: datetime
    ) -> None:
        """Add a feedback together with its event to publish."""

    async def record_outcome(self, outcome: FeedbackOutcome, *, at: datetime) -> bool:
        """Give a feedback its end, once; False when it has one already or is unknown."""

    async def reannounce_overdue(self, *, first_wait_seconds: float, limit: int) -> Sequence[str]:
        """Publish again what has had no outcome for too long, each time waiting twice as long; return the ids."""

    async def forget_outcomes(self, *, older_than: timedelta) -> None:
        """Forget which outcomes were recorded that long ago; keep them longer than Pub/Sub keeps messages."""


class Store(Protocol):
    """Chat's database. Chat's own background work sees everything; a request works on a store `owned_by` its caller."""

    def owned_by(self, owner: str) -> "Store":
        """Return the store as `owner` sees it: what belongs to others does not exist there."""

    def read(self) -> AbstractAsyncContextManager[ReadTransaction]:
        """Open a transaction for reading."""

    def write(self) -> AbstractAsyncContextManager[WriteTransaction]:
        """Open a transaction for writing; it commits when the block ends, and rolls back when the block raises."""
