"""What the use cases need of a database of jobs; `adapters/sql` has the real one."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from tandem_contracts.feedback import FeedbackOutcome, FeedbackRequestedV1
from tandem_feedback.domain.job import Change, Claim, Job, JobState, Progress


@dataclass(frozen=True)
class Accepted:
    """The job of a request that came, and whether this made it."""

    job: Job
    is_new: bool


class Transaction(Protocol):
    """Reading and writing of jobs that become visible together. Each change of state goes into the audit trail."""

    async def now(self) -> datetime:
        """Return the time that leases are measured by."""

    async def job(self, request_id: str) -> Job:
        """Raises JobNotFoundError."""

    async def history(self, request_id: str, *, after: int = 0) -> Sequence[Change]:
        """Return the job's changes with a number above `after`, in order."""

    async def jobs(
        self,
        *,
        limit: int,
        conversation_id: str | None = None,
        batch_id: str | None = None,
        state: JobState | None = None,
        before: tuple[datetime, str] | None = None,
    ) -> Sequence[Job]:
        """Return jobs, newest first, `before` the given time of receipt and request id."""

    async def progress(self, batch_id: str) -> Progress:
        """Count a batch's jobs by state. Raises BatchNotFoundError."""

    async def accept(self, request: FeedbackRequestedV1, *, default_deadline: timedelta) -> Accepted:
        """Return the job of this request, made now if it is new, and ended now if it had been called off before.

        Raises RequestMismatchError for another body under a known id.
        """

    async def send_to_workers(self, request: FeedbackRequestedV1) -> None:
        """Publish the request to the topic that workers read, once this commits."""

    async def claim(self, request_id: str, *, owner: str, lease: timedelta) -> Claim:
        """Take the job to work on it.

        Raises JobTakenError while another owner's lease holds or when the job is finished, AttemptPausedError while the next attempt is not due.
        """

    async def holds(self, claim: Claim) -> bool:
        """Tell whether the claim still stands."""

    async def renew(self, claim: Claim, *, lease: timedelta) -> bool:
        """Keep the claim; False when somebody else has taken or ended the job since."""

    async def give_back(
        self, claim: Claim, *, count_attempt: bool, reason: str = "", retry_after: timedelta | None = None
    ) -> None:
        """End the claim without an outcome; an attempt that was only waiting is not counted."""

    async def finish(self, claim: Claim, outcome: FeedbackOutcome) -> bool:
        """Store the outcome and its event together; False, and nothing stored, when the claim no longer holds."""

    async def end(self, outcome: FeedbackOutcome) -> bool:
        """Do the same for a job that nobody works on; False when somebody does, or it has an outcome."""

    async def cancel(self, request_id: str) -> Job | None:
        """Call a job off, and return it as it is now; one that is finished stays so.

        None when the request has not come yet: it will be called off when it does.
        """

    async def announce(self, outcome: FeedbackOutcome) -> None:
        """Publish an outcome that is stored already once more."""

    async def requeue_abandoned(self, *, older_than: timedelta, limit: int) -> Sequence[str]:
        """Publish requests again that nobody has worked on for `older_than`; return their ids."""

    async def end_overdue(self, *, limit: int) -> Sequence[str]:
        """Fail jobs past their deadline that nobody works on; return their ids."""

    async def forget_cancellations(self, *, older_than: timedelta) -> None:
        """Forget who was called off before coming, and did not come for so long."""


class Store(Protocol):
    """Feedback's database."""

    def read(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction for reading."""

    def write(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction that commits when the block ends, and rolls back when the block raises."""
