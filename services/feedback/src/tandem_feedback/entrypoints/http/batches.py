"""Routes of batches: how far one is, now and as a stream. Its requests are listed by `GET /v1/feedback?batch_id=`."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent

from tandem_contracts.feedback.v1 import Identifier
from tandem_feedback.domain.errors import BatchNotFoundError
from tandem_feedback.domain.job import Progress
from tandem_feedback.entrypoints.http.dependencies import GUARDED, WorkerDep
from tandem_feedback.entrypoints.http.documentation import problems
from tandem_feedback.entrypoints.http.schemas import ProgressBody

router = APIRouter(
    prefix="/v1/batches",
    tags=["batches"],
    dependencies=GUARDED,
    responses=problems(BatchNotFoundError),
)


async def _existing(worker: WorkerDep, batch_id: Identifier) -> Progress:
    return await worker.jobs.batch(batch_id)


@router.get("/{batch_id}")
async def read_batch(progress: Annotated[Progress, Depends(_existing)]) -> ProgressBody:
    """Count a batch's requests by state."""
    return ProgressBody.of(progress)


@router.get("/{batch_id}/events", response_class=EventSourceResponse)
async def follow_batch(
    worker: WorkerDep, found: Annotated[Progress, Depends(_existing)]
) -> AsyncIterator[ServerSentEvent]:
    """Stream a batch's progress, now and at each change, until every request in it has its outcome."""
    async for progress in worker.jobs.follow_batch(found.batch_id):
        yield ServerSentEvent(event="progress", data=ProgressBody.of(progress))
