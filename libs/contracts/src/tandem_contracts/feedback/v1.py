"""Version 1 of the feedback events. Released: fields may be added with a default, nothing else may change.

Unknown fields are ignored on reading, so that an older reader survives a newer writer.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
# NUL is refused because Postgres cannot store it in text.
Text = Annotated[str, StringConstraints(min_length=1, max_length=200_000, pattern=r"^[^\x00]*$")]

WebhookUrl = Annotated[str, StringConstraints(pattern=r"^https://[!-~]{1,2000}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Turn(_Frozen):
    """One message of the conversation to be judged."""

    role: Literal["user", "assistant"]
    content: Text


class RubricRef(_Frozen):
    """Which rubric to judge by; without a version, the newest that the worker has."""

    id: Identifier = "general"
    version: int | None = Field(default=None, ge=1, lt=2**31)


class TokenUsage(_Frozen):
    """Tokens that the judgement cost, as the engine counted them, repairs included."""

    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)


class Evidence(_Frozen):
    """Something that was said, in the transcript's own words."""

    quote: Text
    turn: int = Field(ge=0, description="Place of the message in the request's transcript, from 0.")


class CriterionResult(_Frozen):
    """The judgement by one criterion of the rubric."""

    id: Identifier
    title: str
    score: int = Field(description="From `lowest` to `highest`.")
    lowest: int
    highest: int
    reason: Text
    evidence: tuple[Evidence, ...] = Field(
        default=(), description="Quotes that were found in the transcript; the others are dropped."
    )


class Timings(_Frozen):
    """Where the time went, in seconds."""

    counting_seconds: float = Field(ge=0, description="Counting tokens to fit the transcript.")
    generating_seconds: float = Field(
        ge=0, description="Waiting for and running generations, repairs included."
    )


class FeedbackResult(_Frozen):
    """The judgement itself, stamped with what made it."""

    score: int = Field(ge=1, le=5, description="1 poor, 5 excellent.")
    summary: Text
    strengths: tuple[Text, ...]
    improvements: tuple[Text, ...]
    rubric: RubricRef
    model: str
    adapter: str | None = None
    seed: int | None = None
    omitted_turns: int = Field(
        default=0,
        ge=0,
        description="Turns left out because the transcript did not fit the model's window, the oldest first.",
    )
    usage: TokenUsage
    criteria: tuple[CriterionResult, ...] = Field(
        default=(), description="One by one, for rubrics that score their criteria."
    )
    evidence_dropped: int = Field(
        default=0, ge=0, description="Quotes of the model's that do not occur in the transcript."
    )
    note: str | None = Field(
        default=None, description="A sentence on what was left out or judged in parts, if anything was."
    )
    parts: int = Field(default=1, ge=1, description="Parts that a long transcript was judged in.")
    repairs: int = Field(
        default=0, ge=0, description="Outputs that were cut off or out of shape and written again."
    )
    truncations: int = Field(default=0, ge=0, description="Those of the repairs that were cut off.")
    timings: Timings | None = None


class _FeedbackEvent(_Frozen):
    request_id: Identifier = Field(
        description="Identity of the request, chosen by who asks; the same id is one job."
    )
    conversation_id: Identifier


class FeedbackRequestedV1(_FeedbackEvent):
    """Somebody asks for feedback; carries everything that the writer needs."""

    event_type: ClassVar[str] = "feedback.requested.v1"

    transcript: tuple[Turn, ...] = Field(min_length=1, max_length=1000)
    earlier_turns_omitted: int = Field(
        default=0,
        ge=0,
        description="Turns before the first one here that the requester left out for their size.",
    )
    rubric: RubricRef = RubricRef()
    model: str | None = Field(
        default=None, description="Model or adapter to judge with; the worker's default if absent."
    )
    seed: int | None = Field(default=None, ge=0, lt=2**31)
    requested_at: AwareDatetime
    deadline_at: AwareDatetime | None = Field(
        default=None,
        description="Until when the feedback is of use: waiting ends then as feedback.failed, code deadline_exceeded. If absent, "
        "a day after the worker first saw the request; never more than 30 days after.",
    )
    batch_id: Identifier | None = Field(
        default=None, description="Puts requests together, to be listed and followed as one."
    )
    webhook_url: WebhookUrl | None = Field(
        default=None,
        description="Where to POST the outcome's event; only https, and only hosts that the worker's operator listed.",
    )


class FeedbackCancelRequestedV1(_FeedbackEvent):
    """The requester calls a request off; without effect once it has its outcome, remembered when it is not there yet."""

    event_type: ClassVar[str] = "feedback.cancel_requested.v1"

    requested_at: AwareDatetime


class FeedbackCompletedV1(_FeedbackEvent):
    """The feedback is written and stored."""

    event_type: ClassVar[str] = "feedback.completed.v1"

    result: FeedbackResult
    completed_at: AwareDatetime


class FeedbackFailedV1(_FeedbackEvent):
    """The feedback will not be written; says why."""

    event_type: ClassVar[str] = "feedback.failed.v1"

    code: str = Field(pattern=r"^[a-z0-9_]+$", description="Stable identifier of the reason.")
    detail: str = Field(description="The reason as a sentence.")
    attempts: int = Field(ge=0, description="Real attempts made; waiting for the engine counts as none.")
    failed_at: AwareDatetime


class FeedbackCancelledV1(_FeedbackEvent):
    """The requester called it off; nothing was or will be written."""

    event_type: ClassVar[str] = "feedback.cancelled.v1"

    cancelled_at: AwareDatetime


__all__ = [
    "FeedbackCancelRequestedV1",
    "FeedbackCancelledV1",
    "FeedbackCompletedV1",
    "FeedbackFailedV1",
    "FeedbackRequestedV1",
    "FeedbackResult",
    "RubricRef",
    "Timings",
    "TokenUsage",
    "Turn",
]
