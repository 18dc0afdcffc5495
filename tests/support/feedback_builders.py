"""Builds feedback events for tests: a valid one by default, changed only where the test says so."""

from datetime import UTC, datetime
from itertools import count
from typing import Any

from tandem_contracts.envelope import Envelope, encode
from tandem_contracts.feedback import (
    FeedbackCompletedV1,
    FeedbackEvent,
    FeedbackRequestedV1,
    FeedbackResult,
    RubricRef,
    TokenUsage,
    Turn,
)
from tandem_messaging.ports import OutgoingMessage

WHEN = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
_numbers = count(1)


def a_request(**changes: Any) -> FeedbackRequestedV1:
    number = next(_numbers)
    fields: dict[str, Any] = {
        "request_id": f"request-{number}",
        "conversation_id": f"conversation-{number}",
        "transcript": (Turn(role="user", content="What is 2 + 2?"), Turn(role="assistant", content="4.")),
        "requested_at": WHEN,
    }
    return FeedbackRequestedV1(**{**fields, **changes})


def a_result(**changes: Any) -> FeedbackResult:
    fields: dict[str, Any] = {
        "score": 4,
        "summary": "Correct and short.",
        "strengths": ("Answers at once.",),
        "improvements": ("Could show how.",),
        "rubric": RubricRef(id="general", version=1),
        "model": "smollm2-135m-instruct",
        "usage": TokenUsage(prompt_tokens=10, completion_tokens=5),
    }
    return FeedbackResult(**{**fields, **changes})


def a_completion(request: FeedbackRequestedV1, **changes: Any) -> FeedbackCompletedV1:
    return FeedbackCompletedV1(
        request_id=request.request_id,
        conversation_id=request.conversation_id,
        result=a_result(**changes),
        completed_at=WHEN,
    )


def an_envelope(event: FeedbackEvent | None = None) -> Envelope:
    return Envelope.of(event or a_request(), source="/tests")


def a_message(event: FeedbackEvent | None = None) -> OutgoingMessage:
    """Encode `event`, or a new request, as it travels over Pub/Sub."""
    data, attributes = encode(an_envelope(event))
    return OutgoingMessage(data, attributes)
