"""Routes of single requests: ask, read, list, follow, call off."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from tandem_contracts.feedback.v1 import Identifier
from tandem_feedback.application.read_jobs import JobFilter
from tandem_feedback.domain.errors import (
    AlreadyFinishedError,
    JobNotFoundError,
    RequestMismatchError,
    RequestTooLargeError,
    WebhookRefusedError,
)
from tandem_feedback.domain.job import Change, Job, JobState
from tandem_feedback.entrypoints.http.cursor import decode_cursor, encode_cursor
from tandem_feedback.entrypoints.http.dependencies import GUARDED, WorkerDep
from tandem_feedback.entrypoints.http.documentation import problems
from tandem_feedback.entrypoints.http.json_body import documented, json_body
from tandem_feedback.entrypoints.http.schemas import (
    CancelBody,
    ChangeBody,
    JobBody,
    JobPage,
    JobWithHistory,
    NewFeedback,
)

router = APIRouter(prefix="/v1/feedback", tags=["feedback"], dependencies=GUARDED, responses=problems())


@router.post(
    "",
    status_code=202,
    responses=problems(RequestMismatchError, RequestTooLargeError, WebhookRefusedError),
    openapi_extra=documented(NewFeedback),
)
async def request_feedback(
    worker: WorkerDep, response: Response, body: Annotated[NewFeedback, Depends(json_body(NewFeedback))]
) -> JobBody:
    """Ask for feedback on a transcript; it is written later. The same request again is the same job."""
    job = await worker.submit.submit(body)
    response.headers["Location"] = f"/v1/feedback/{job.request_id}"
    return JobBody.of(job)


@router.get("")
async def list_feedback(
    worker: WorkerDep,
    *,
    conversation_id: Identifier | None = None,
    batch_id: Identifier | None = None,
    state: JobState | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> JobPage:
    """List requests, newest first: all, a conversation's, a batch's, those in a state."""
    wanted = JobFilter(conversation_id, batch_id, state)
    found, following = await worker.jobs.page(wanted, limit=limit, before=decode_cursor(cursor))
    return JobPage(items=[JobBody.of(job) for job in found], next_cursor=encode_cursor(following))


@router.get("/{request_id}", responses=problems(JobNotFoundError))
async def read_feedback(worker: WorkerDep, request_id: Identifier) -> JobWithHistory:
    """Read where a request stands, and how it came there."""
    return JobWithHistory.with_history(*await worker.jobs.one(request_id))


@router.post("/{request_id}/cancel", status_code=202, responses=problems(AlreadyFinishedError))
async def cancel_feedback(worker: WorkerDep, request_id: Identifier) -> CancelBody:
    """Call a request off. One that waits never runs; one that runs is stopped; one that has not come yet is remembered."""
    job = await worker.cancel.cancel(request_id)
    if job is not None and job.state is not JobState.CANCELLED:
        raise AlreadyFinishedError(
            f"request {request_id}: expected one without an outcome, got one that is {job.state.value}"
        )
    return CancelBody(request_id=request_id, state=job.state if job else None)


async def _existing(worker: WorkerDep, request_id: Identifier) -> str:
    await worker.jobs.one(request_id)
    return request_id


@router.get("/{request_id}/events", response_class=EventSourceResponse, responses=problems(JobNotFoundError))
async def follow_feedback(
    worker: WorkerDep,
    request_id: Annotated[str, Depends(_existing)],
    last_event_id: Annotated[str, Header(max_length=20, pattern=r"^[0-9]*$")] = "",
) -> AsyncIterator[ServerSentEvent]:
    """Stream each change of a request (`change`), then its outcome (`outcome`). Last-Event-ID goes on where it stopped."""
    after = min(int(last_event_id or 0), 2**31 - 1)
    async for seen in worker.jobs.follow(request_id, after=after):
        yield _event_of(seen)


def _event_of(seen: Change | Job) -> ServerSentEvent:
    if isinstance(seen, Change):
        return ServerSentEvent(event="change", id=str(seen.number), data=ChangeBody.of(seen))
    return ServerSentEvent(event="outcome", data=JobBody.of(seen))
