"""Shows feedback: reads it, lists it, follows its states, and takes in the outcome that the feedback service published."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from opentelemetry import metrics

from tandem_chat.application.ports import Store
from tandem_chat.domain.errors import FeedbackNotFoundError
from tandem_chat.domain.feedback import Feedback
from tandem_contracts.envelope import Envelope
from tandem_contracts.feedback import FeedbackCancelRequestedV1, FeedbackRequestedV1
from tandem_telemetry import names

logger = logging.getLogger(__name__)
_outcomes = metrics.get_meter(__name__).create_counter(
    names.CHAT_FEEDBACK, "{feedback}", "Feedback by outcome"
)

# Changes made by another process are noticed no later than this.
_POLL_SECONDS = 1.0


@dataclass
class _Followers:
    """Everybody who follows in this process."""

    events: defaultdict[str, set[asyncio.Event]] = field(default_factory=lambda: defaultdict(set))
    closing: bool = False


class FollowFeedback:
    """The use cases of whoever waits for feedback."""

    def __init__(self, store: Store, followers: _Followers | None = None) -> None:
        self._store = store
        self._followers = followers or _Followers()

    def owned_by(self, owner: str) -> "FollowFeedback":
        """Return these use cases for `owner`; whoever follows is woken all the same."""
        return FollowFeedback(self._store.owned_by(owner), self._followers)

    async def read(self, feedback_id: str) -> Feedback:
        """Return one feedback. Raises FeedbackNotFoundError."""
        async with self._store.read() as transaction:
            return await transaction.feedback(feedback_id)

    async def of_conversation(self, conversation_id: str) -> Sequence[Feedback]:
        """Return a conversation's feedback, newest first. Raises ConversationNotFoundError."""
        async with self._store.read() as transaction:
            await transaction.conversation(conversation_id)
            return await transaction.feedback_of(conversation_id)

    async def follow(self, feedback_id: str) -> AsyncIterator[Feedback]:
        """Yield the feedback now and at each change until its end, or until it is deleted or chat closes."""
        shown: Feedback | None = None
        changed = asyncio.Event()
        self._followers.events[feedback_id].add(changed)
        try:
            while not self._followers.closing and (shown is None or not shown.state.is_final):
                changed.clear()
                feedback = await self.read(feedback_id)
                if feedback != shown:
                    shown = feedback
                    yield feedback
                    continue
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), _POLL_SECONDS)
        except FeedbackNotFoundError:
            return
        finally:
            self._leave(feedback_id, changed)

    def close(self) -> None:
        """End every stream of this process; its readers come again and find another process."""
        self._followers.closing = True
        for feedback_id in self._followers.events:
            self.announce(feedback_id)

    def _leave(self, feedback_id: str, changed: asyncio.Event) -> None:
        events = self._followers.events
        events[feedback_id].discard(changed)
        if not events[feedback_id]:
            del events[feedback_id]

    async def take_outcome(self, envelope: Envelope) -> None:
        """Give a feedback its outcome, once however often it is delivered; other publishers' outcomes are not ours."""
        event = envelope.event
        if isinstance(event, FeedbackRequestedV1 | FeedbackCancelRequestedV1):
            logger.warning("feedback.unexpected_event", extra={"request_id": event.request_id})
            return
        async with self._store.write() as transaction:
            first = await transaction.record_outcome(event, at=await transaction.now())
        logger.info(
            "feedback.outcome",
            extra={"request_id": event.request_id, "type": event.event_type, "first_time": first},
        )
        if first:
            _outcomes.add(1, {names.EVENT_TYPE: event.event_type})
            self.announce(event.request_id)

    def announce(self, feedback_id: str) -> None:
        """Wake the followers of this feedback in this process."""
        for changed in self._followers.events.get(feedback_id, ()):
            changed.set()
