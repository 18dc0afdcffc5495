"""A job: one feedback request on its way to exactly one outcome, and the trail of its changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from tandem_contracts.feedback import FeedbackOutcome, FeedbackRequestedV1

# However far away a requester puts it: so long the row, and its place in the sweeps, is kept open.
_LONGEST_WAIT = timedelta(days=30)


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
    batch_id: str | None = None
    deadline_at: datetime | None = None


@dataclass(frozen=True)
class Claim:
    """The right to work on a job until the lease ends; `attempts` includes this one."""

    request_id: str
    fence: int
    attempts: int


@dataclass(frozen=True)
class Change:
    """One entry of the audit trail; `number` counts a job's changes from 1."""

    number: int
    state: JobState
    at: datetime
    attempts: int
    detail: str


@dataclass(frozen=True)
class Progress:
    """How many jobs of a batch are in which state; `waiting` are those that a re-run has not made yet."""

    batch_id: str
    states: Mapping[JobState, int]
    waiting: int = 0

    @property
    def total(self) -> int:
        return sum(self.states.values()) + self.waiting

    @property
    def is_final(self) -> bool:
        return not self.waiting and all(state.is_final for state, count in self.states.items() if count)


def deadline_of(request: FeedbackRequestedV1, *, received_at: datetime, default: timedelta) -> datetime:
    """Return until when a request that was first seen at `received_at` may wait.

    Without a deadline of its own the time of receipt counts: `requested_at` is whatever the requester's clock says.
    """
    wanted = request.deadline_at or received_at + default
    return max(received_at, min(wanted, received_at + _LONGEST_WAIT))
