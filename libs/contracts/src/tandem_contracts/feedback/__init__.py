"""The feedback events, by the type name that travels in `ce-type`."""

from typing import Final, TypeAlias

from tandem_contracts.feedback.v1 import (
    CriterionResult,
    Evidence,
    FeedbackCancelledV1,
    FeedbackCancelRequestedV1,
    FeedbackCompletedV1,
    FeedbackFailedV1,
    FeedbackRequestedV1,
    FeedbackResult,
    RubricRef,
    Timings,
    TokenUsage,
    Turn,
)

FeedbackEvent: TypeAlias = (
    FeedbackRequestedV1
    | FeedbackCancelRequestedV1
    | FeedbackCompletedV1
    | FeedbackFailedV1
    | FeedbackCancelledV1
)
FeedbackOutcome: TypeAlias = FeedbackCompletedV1 | FeedbackFailedV1 | FeedbackCancelledV1

EVENT_MODELS: Final[dict[str, type[FeedbackEvent]]] = {
    model.event_type: model
    for model in (
        FeedbackRequestedV1,
        FeedbackCancelRequestedV1,
        FeedbackCompletedV1,
        FeedbackFailedV1,
        FeedbackCancelledV1,
    )
}

OUTCOME_MODELS: Final[dict[str, type[FeedbackOutcome]]] = {
    model.event_type: model for model in (FeedbackCompletedV1, FeedbackFailedV1, FeedbackCancelledV1)
}

__all__ = [
    "EVENT_MODELS",
    "OUTCOME_MODELS",
    "CriterionResult",
    "Evidence",
    "FeedbackCancelRequestedV1",
    "FeedbackCancelledV1",
    "FeedbackCompletedV1",
    "FeedbackEvent",
    "FeedbackFailedV1",
    "FeedbackOutcome",
    "FeedbackRequestedV1",
    "FeedbackResult",
    "RubricRef",
    "Timings",
    "TokenUsage",
    "Turn",
]
