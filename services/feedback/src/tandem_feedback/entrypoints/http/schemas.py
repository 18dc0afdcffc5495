"""Bodies of the HTTP face: what a caller may send, and how requests, batches and dead letters look to them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Self
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from tandem_contracts.feedback import FeedbackRequestedV1
from tandem_contracts.feedback.v1 import Identifier
from tandem_contracts.problem import FieldError
from tandem_feedback.domain.job import Change, Job, JobState, Progress


class NewFeedback(FeedbackRequestedV1):
    """A request for feedback: the data of the event `feedback.requested.v1`, of which id and time may be left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request_id: Identifier = Field(
        default_factory=lambda: str(uuid4()),
        description="Identity of the request: the same id is one job. Choose one, and sending again is harmless.",
    )
    requested_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))


class ChangeBody(BaseModel):
    """One change in the life of a request."""

    number: int
    state: JobState
    at: datetime
    attempts: int
    detail: str

    @classmethod
    def of(cls, change: Change) -> Self:
        """Show `change`."""
        return cls.model_validate(change, from_attributes=True)


class JobBody(BaseModel):
    """Where a request stands. `outcome` is the published event's data, once there is one."""

    request_id: str
    conversation_id: str
    batch_id: str | None
    state: JobState
    attempts: int
    received_at: datetime
    deadline_at: datetime | None
    finished_at: datetime | None
    outcome: dict[str, Any] | None

    @classmethod
    def of(cls, job: Job) -> Self:
        """Show `job`."""
        return cls(**_shown(job))


class JobWithHistory(JobBody):
    """Where a request stands, and how it came there."""

    history: list[ChangeBody]

    @classmethod
    def with_history(cls, job: Job, history: Sequence[Change]) -> Self:
        """Show `job` and its audit trail."""
        return cls(**_shown(job), history=[ChangeBody.of(change) for change in history])


class JobPage(BaseModel):
    """A page of requests, newest first."""

    items: list[JobBody]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null at the end.")


class ProgressBody(BaseModel):
    """How far a batch is."""

    batch_id: str
    total: int
    states: dict[str, int] = Field(description="How many requests are in which state.")
    waiting: int = Field(description="Re-runs that are not in the queue yet.")
    finished: bool = Field(description="Every request so far has its outcome, and none is waiting.")

    @classmethod
    def of(cls, progress: Progress) -> Self:
        """Show `progress`."""
        states = {state.value: count for state, count in progress.states.items()}
        return cls(
            batch_id=progress.batch_id,
            total=progress.total,
            states=states,
            waiting=progress.waiting,
            finished=progress.is_final,
        )


class CancelBody(BaseModel):
    """What came of calling a request off."""

    request_id: str
    state: JobState | None = Field(
        description="`cancelled`; null for a request that has not come yet, and will not run if it does."
    )


class BulkLine(BaseModel):
    """The answer to one line of a bulk."""

    line: int = Field(description="Number of the line, from 1.")
    status: int = Field(description="What POST /v1/feedback would have answered: 202 is accepted.")
    request_id: str | None = None
    state: JobState | None = None
    code: str | None = Field(default=None, description="The problem's code, for a line that was refused.")
    detail: str | None = None
    errors: tuple[FieldError, ...] = ()


def _shown(job: Job) -> dict[str, Any]:
    return {
        "request_id": job.request_id,
        "conversation_id": job.conversation_id,
        "batch_id": job.batch_id,
        "state": job.state,
        "attempts": job.attempts,
        "received_at": job.received_at,
        "deadline_at": job.deadline_at,
        "finished_at": job.finished_at,
        "outcome": job.outcome.model_dump(mode="json") if job.outcome else None,
    }
