"""The route of many requests at once: JSON lines in, one answer per line out, both as streams.

What is held at a time is a few lines; answers that the caller does not read yet wait in a file.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Query, Response
from fastapi.exceptions import RequestValidationError

from tandem_contracts.feedback.v1 import Identifier
from tandem_contracts.problem import field_errors
from tandem_feedback.bootstrap import Worker
from tandem_feedback.domain.job import Job
from tandem_feedback.entrypoints.http.dependencies import GUARDED, WorkerDep
from tandem_feedback.entrypoints.http.documentation import problems
from tandem_feedback.entrypoints.http.json_body import parse
from tandem_feedback.entrypoints.http.json_lines import Line, LinesAnswer
from tandem_feedback.entrypoints.http.problems import PROBLEMS
from tandem_feedback.entrypoints.http.schemas import BulkLine, NewFeedback
from tandem_messaging.errors import TandemError

router = APIRouter(prefix="/v1/feedback", tags=["feedback"], dependencies=GUARDED, responses=problems())

MEDIA_TYPE = "application/x-ndjson"
# One transaction's worth: large enough to share its fsync, small enough not to keep other writers waiting.
_LINES_AT_ONCE = 100
_IN: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One request a line, each as in POST /v1/feedback.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
    }
}
_OUT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One answer a line, in order: `{line, status, request_id, state}` or `{line, status, code, detail}`.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
    }
}


@router.post("/bulk", response_class=Response, openapi_extra=_IN, responses=_OUT)
async def request_many(
    worker: WorkerDep,
    batch_id: Annotated[
        Identifier | None, Query(description="Batch of the lines that name none; a new one if absent.")
    ] = None,
) -> Response:
    """Ask for feedback on many transcripts. A bad line is answered as such and stops no other."""
    batch = batch_id or str(uuid4())

    async def answer(groups: AsyncIterator[Sequence[Line]]) -> AsyncIterator[bytes]:
        async for lines in groups:
            for start in range(0, len(lines), _LINES_AT_ONCE):
                answers = await _take(worker, lines[start : start + _LINES_AT_ONCE], batch)
                yield b"".join(_encoded(one) for one in answers)

    return LinesAnswer(answer, media_type=MEDIA_TYPE, headers={"Location": f"/v1/batches/{batch}"})


async def _take(worker: Worker, lines: Sequence[Line], batch: str) -> list[BulkLine]:
    requests: dict[int, NewFeedback] = {}
    answers: dict[int, BulkLine] = {}
    for line in lines:
        try:
            request = parse(NewFeedback, line.content())
        except RequestValidationError as error:
            answers[line.number] = _invalid(line.number, error)
        except TandemError as error:
            answers[line.number] = _refused(line.number, error)
        else:
            named = request.batch_id or batch
            requests[line.number] = request.model_copy(update={"batch_id": named})
    try:
        results = await worker.submit.submit_many(list(requests.values())) if requests else []
    except TandemError as error:  # the database is away; lines sent again later are the same requests
        results = [error] * len(requests)  # type: ignore[list-item]  # answered like the others
    for (number, request), result in zip(requests.items(), results, strict=True):
        answers[number] = _answer(number, request.request_id, result)
    return [answers[line.number] for line in lines]


def _answer(number: int, request_id: str, result: Job | TandemError) -> BulkLine:
    if isinstance(result, Job):
        return BulkLine(line=number, status=202, request_id=request_id, state=result.state)
    return _refused(number, result, request_id)


def _refused(number: int, error: TandemError, request_id: str | None = None) -> BulkLine:
    status, code = PROBLEMS[type(error)]
    return BulkLine(line=number, status=status, request_id=request_id, code=code, detail=str(error))


def _invalid(number: int, error: RequestValidationError) -> BulkLine:
    found = field_errors(error.errors())
    detail = "; ".join(f"{one.field}: {one.message}" for one in found)
    return BulkLine(line=number, status=422, code="invalid_request", detail=detail, errors=found)


def _encoded(answer: BulkLine) -> bytes:
    return answer.model_dump_json(exclude_none=True, exclude_defaults=True).encode() + b"\n"
