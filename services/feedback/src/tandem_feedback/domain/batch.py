"""A batch: stored conversations judged once more, by one rubric and model or by two that are to be compared."""

import hashlib
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from tandem_contracts.feedback import FeedbackRequestedV1, RubricRef
from tandem_contracts.feedback.v1 import Identifier

# Databases and time zones disagree on what lies further out.
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


class Variant(BaseModel):
    """By what the conversations are judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rubric: RubricRef = RubricRef()
    model: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00]*$",
        description="Model or adapter; the worker's default if absent.",
    )


class Selection(BaseModel):
    """Which conversations; each one's newest stored transcript counts, and re-runs are no transcripts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    conversation_ids: tuple[Identifier, ...] | None = Field(
        default=None, min_length=1, max_length=1000, description="These only; all if absent."
    )
    received_from: AwareDatetime | None = Field(
        default=None, ge=_EARLIEST, le=_LATEST, description="Requests received at or after."
    )
    received_until: AwareDatetime | None = Field(
        default=None, ge=_EARLIEST, le=_LATEST, description="Requests received before."
    )


class BatchDefinition(BaseModel):
    """What is run over what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variants: tuple[Variant, ...] = Field(
        min_length=1,
        max_length=2,
        description="One is compared with the feedback that is stored; two with each other.",
    )
    selection: Selection = Selection()
    seed: int | None = Field(
        default=None, ge=0, lt=2**31, description="For all; from the conversation's own request if absent."
    )


class BatchState(StrEnum):
    """Whether the batch still hands conversations to the queue."""

    FEEDING = "feeding"
    FED = "fed"
    CANCELLED = "cancelled"


class Batch(BaseModel):
    """A batch as it is stored. `total` counts judgements, so two for each conversation where two variants are compared."""

    model_config = ConfigDict(frozen=True)

    id: str
    definition: BatchDefinition
    state: BatchState
    total: int
    cursor: str
    created_at: datetime


def rerun_prefix(batch_id: str, variant: int) -> str:
    """Return what the request ids of a variant begin with."""
    return f"{batch_id}.{variant + 1}."


def rerun_id(batch_id: str, variant: int, conversation_id: str) -> str:
    """Return the request id of one judgement: the same however often it is made."""
    return rerun_prefix(batch_id, variant) + hashlib.sha256(conversation_id.encode()).hexdigest()[:24]


def rerun(
    batch: Batch, variant: int, source: FeedbackRequestedV1, *, seed: int, now: datetime
) -> FeedbackRequestedV1:
    """Return the request that has `source`'s conversation judged again."""
    wanted = batch.definition.variants[variant]
    return FeedbackRequestedV1(
        request_id=rerun_id(batch.id, variant, source.conversation_id),
        conversation_id=source.conversation_id,
        transcript=source.transcript,
        earlier_turns_omitted=source.earlier_turns_omitted,
        rubric=wanted.rubric,
        model=wanted.model,
        seed=seed,
        requested_at=now,
        deadline_at=now + timedelta(days=7),
        batch_id=batch.id,
    )
