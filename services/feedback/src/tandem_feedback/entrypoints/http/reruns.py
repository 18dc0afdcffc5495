"""Routes that judge stored conversations again: make a batch, list and cancel batches, compare. `batches` tells how far one is."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from tandem_contracts.feedback.v1 import Identifier
from tandem_feedback.domain.errors import (
    BatchMismatchError,
    BatchNotFoundError,
    RequestTooLargeError,
    UnknownRubricError,
)
from tandem_feedback.entrypoints.http.dependencies import GUARDED, WorkerDep
from tandem_feedback.entrypoints.http.documentation import problems
from tandem_feedback.entrypoints.http.evaluation_schemas import (
    BatchBody,
    BatchList,
    ComparisonBody,
    NewBatch,
)
from tandem_feedback.entrypoints.http.json_body import documented, json_body

router = APIRouter(prefix="/v1/batches", tags=["batches"], dependencies=GUARDED, responses=problems())


@router.post(
    "",
    status_code=202,
    responses=problems(BatchMismatchError, RequestTooLargeError, UnknownRubricError),
    openapi_extra=documented(NewBatch),
)
async def judge_again(
    worker: WorkerDep, response: Response, body: Annotated[NewBatch, Depends(json_body(NewBatch))]
) -> BatchBody:
    """Judge stored conversations again in the background, by one rubric and model or by two to compare."""
    made = await worker.evaluation.batches.create(body.definition, batch_id=body.id)
    response.headers["Location"] = f"/v1/batches/{made.batch.id}"
    return BatchBody.of(made)


@router.get("")
async def list_batches(worker: WorkerDep, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> BatchList:
    """List the newest of these batches."""
    found = await worker.evaluation.batches.newest(limit=limit)
    return BatchList(items=[BatchBody.of(status) for status in found])


@router.post("/{batch_id}/cancel", status_code=202, responses=problems(BatchNotFoundError))
async def cancel_batch(worker: WorkerDep, batch_id: Identifier) -> BatchBody:
    """Send no more of a batch to the queue; what is there is still judged."""
    return BatchBody.of(await worker.evaluation.batches.cancel(batch_id))


@router.get("/{batch_id}/comparison", responses=problems(BatchNotFoundError))
async def compare_batch(
    worker: WorkerDep,
    batch_id: Identifier,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after: Annotated[str, Query(max_length=128)] = "",
) -> ComparisonBody:
    """Set a batch's two variants side by side, or its one variant beside the feedback stored before."""
    return ComparisonBody.of(await worker.evaluation.comparison.compare(batch_id), after=after, limit=limit)
