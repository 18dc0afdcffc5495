"""Builds the outcomes that are no result: why a request failed, in the event's words."""

from datetime import UTC, datetime

from tandem_contracts.feedback import FeedbackFailedV1, FeedbackRequestedV1
from tandem_feedback.domain.job import Job


def failed(request: FeedbackRequestedV1, code: str, detail: str, attempts: int) -> FeedbackFailedV1:
    """Return the outcome of a request that will not be judged."""
    return FeedbackFailedV1(
        request_id=request.request_id,
        conversation_id=request.conversation_id,
        code=code,
        detail=detail,
        attempts=attempts,
        failed_at=datetime.now(UTC),
    )


def deadline_exceeded(job: Job, now: datetime) -> FeedbackFailedV1:
    """Return the outcome of a job whose time has run out."""
    until = job.deadline_at.isoformat(timespec="seconds") if job.deadline_at else "its deadline"
    return FeedbackFailedV1(
        request_id=job.request_id,
        conversation_id=job.conversation_id,
        code="deadline_exceeded",
        detail=f"waited until {until} without being judged; ask again under a new request_id, with a later deadline_at",
        attempts=job.attempts,
        failed_at=now,
    )
