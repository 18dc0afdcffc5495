"""Feedback of chat's as tests need it: a stored request, and the outcomes that a feedback service would publish."""

from datetime import UTC, datetime

from tandem_chat.adapters.sql.store import SqlStore
from tandem_chat.domain.feedback import Feedback, FeedbackState
from tandem_contracts.feedback import (
    FeedbackCompletedV1,
    FeedbackFailedV1,
    FeedbackRequestedV1,
    FeedbackResult,
    RubricRef,
    TokenUsage,
    Turn,
)

REQUESTED_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def requested(feedback_id: str, conversation_id: str) -> FeedbackRequestedV1:
    return FeedbackRequestedV1(
        request_id=feedback_id,
        conversation_id=conversation_id,
        transcript=(Turn(role="user", content="Hello?"), Turn(role="assistant", content="Hello!")),
        requested_at=REQUESTED_AT,
    )


def completed(feedback_id: str, conversation_id: str, *, score: int = 4) -> FeedbackCompletedV1:
    return FeedbackCompletedV1(
        request_id=feedback_id,
        conversation_id=conversation_id,
        result=FeedbackResult(
            score=score,
            summary="Short and friendly.",
            strengths=("polite",),
            improvements=("say more",),
            rubric=RubricRef(version=1),
            model="smollm2-135m-instruct",
            usage=TokenUsage(prompt_tokens=20, completion_tokens=30),
        ),
        completed_at=datetime.now(UTC),
    )


def failed(feedback_id: str, conversation_id: str) -> FeedbackFailedV1:
    return FeedbackFailedV1(
        request_id=feedback_id,
        conversation_id=conversation_id,
        code="no_judgement",
        detail="The model gave no judgement in three attempts.",
        attempts=3,
        failed_at=datetime.now(UTC),
    )


async def add_feedback(
    store: SqlStore, conversation_id: str, *, feedback_id: str, reannounce_at: datetime = REQUESTED_AT
) -> Feedback:
    """Store a feedback with its event; by default it is overdue as soon as it has been announced."""
    feedback = Feedback(feedback_id, conversation_id, FeedbackState.PENDING, REQUESTED_AT)
    async with store.write() as transaction:
        await transaction.add_feedback(
            feedback, requested(feedback_id, conversation_id), reannounce_at=reannounce_at
        )
    return feedback
