"""A job: one feedback request on its way to exactly one outcome."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tandem_contracts.feedback import FeedbackOutcome


class JobState(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True)
class Job:
    """A job as it is stored.

    `attempts` counts real tries only; waiting for the engine gives the attempt back. `fence` grows with each claim: a
    worker may only finish the job under the fence that it was given.
    """

    request_id: str
    conversation_id: str
    state: JobState
    attempts: int
    fence: int
    received_at: datetime
    finished_at: datetime | None
    outcome: FeedbackOutcome | None


@dataclass(frozen=True)
class Claim:
    """The right to work on a job until the lease ends; `attempts` includes this one."""

    request_id: str
    fence: int
    attempts: int
