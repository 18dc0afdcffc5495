"""Jobs as rows: what a new one holds, what an outcome changes, and a row read back."""

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row

from tandem_contracts.feedback import (
    OUTCOME_MODELS,
    FeedbackCompletedV1,
    FeedbackFailedV1,
    FeedbackOutcome,
    FeedbackRequestedV1,
)
from tandem_feedback.domain.job import Job, JobState, deadline_of

OPEN_STATES: Final = (JobState.QUEUED.value, JobState.RUNNING.value)
# When it was asked, how long it may wait, and with which others it goes do not make another request of it.
_NO_PART_OF_IDENTITY: Final = {"requested_at", "deadline_at", "batch_id"}
# Fields younger than the first jobs: left out while unset, so that old hashes stay true.
_LATER_FIELDS: Final = {"webhook_url"}


def new_job_values(
    request: FeedbackRequestedV1, *, now: datetime, default_deadline: timedelta
) -> dict[str, Any]:
    """Return the row of a request that has just come for the first time."""
    return {
        "request_id": request.request_id,
        "conversation_id": request.conversation_id,
        "state": JobState.QUEUED.value,
        "request": request.model_dump_json(),
        "body_hash": body_hash(request),
        "attempts": 0,
        "fence": 0,
        "received_at": now,
        "touched_at": now,
        "batch_id": request.batch_id,
        "deadline_at": deadline_of(request, received_at=now, default=default_deadline),
        "webhook_url": request.webhook_url,
    }


def body_hash(request: FeedbackRequestedV1) -> str:
    """Hash what the requester asks for, so that a repeated request is known as the same one."""
    body = request.model_dump(mode="json", exclude=_NO_PART_OF_IDENTITY)
    body = {name: value for name, value in body.items() if value is not None or name not in _LATER_FIELDS}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def outcome_values(outcome: FeedbackOutcome) -> dict[str, Any]:
    """Return what an outcome changes in its job's row."""
    return {
        "state": _final_state(outcome).value,
        "outcome_type": outcome.event_type,
        "outcome": outcome.model_dump_json(),
        "leased_by": None,
        "leased_until": None,
        "retry_at": None,
    }


def reopened_values(job: Job, now: datetime) -> dict[str, Any]:
    """Return what makes a failed job wait again, with as many attempts and as much time as it had at first."""
    patience = job.deadline_at - job.received_at if job.deadline_at else None
    return {
        "state": JobState.QUEUED.value,
        "attempts": 0,
        "outcome_type": None,
        "outcome": None,
        "finished_at": None,
        "deadline_at": now + patience if patience is not None else None,
    }


def job_of(row: Row[Any]) -> Job:
    """Read a row of `jobs`."""
    outcome = OUTCOME_MODELS[row.outcome_type].model_validate_json(row.outcome) if row.outcome else None
    return Job(
        request_id=row.request_id,
        conversation_id=row.conversation_id,
        state=JobState(row.state),
        attempts=row.attempts,
        fence=row.fence,
        received_at=row.received_at,
        finished_at=row.finished_at,
        outcome=outcome,
        batch_id=row.batch_id,
        deadline_at=row.deadline_at,
    )


def _final_state(outcome: FeedbackOutcome) -> JobState:
    if isinstance(outcome, FeedbackCompletedV1):
        return JobState.DONE
    return JobState.FAILED if isinstance(outcome, FeedbackFailedV1) else JobState.CANCELLED
