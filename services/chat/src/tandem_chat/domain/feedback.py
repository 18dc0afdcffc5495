"""Feedback on a conversation, as the user sees it. The feedback service writes it; chat only asks and shows."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tandem_contracts.feedback import FeedbackResult


class FeedbackState(StrEnum):
    """How far a feedback is."""

    PENDING = "pending"  # stored here, not yet handed to Pub/Sub
    QUEUED = "queued"  # waiting for the writer, or being written
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self not in (FeedbackState.PENDING, FeedbackState.QUEUED)


@dataclass(frozen=True)
class Feedback:
    """One requested feedback; `id` is the event's `request_id`."""

    id: str
    conversation_id: str
    state: FeedbackState
    requested_at: datetime
    finished_at: datetime | None = None
    result: FeedbackResult | None = None
    error_code: str | None = None
    error_detail: str | None = None
