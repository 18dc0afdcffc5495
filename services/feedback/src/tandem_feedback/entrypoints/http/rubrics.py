"""The route that tells which rubrics a request may name."""

from fastapi import APIRouter

from tandem_feedback.entrypoints.http.dependencies import GUARDED, WorkerDep
from tandem_feedback.entrypoints.http.documentation import problems
from tandem_feedback.entrypoints.http.evaluation_schemas import RubricBody, RubricList

router = APIRouter(prefix="/v1/rubrics", tags=["rubrics"], dependencies=GUARDED, responses=problems())


@router.get("")
async def list_rubrics(worker: WorkerDep) -> RubricList:
    """List every version of every rubric, by id and version."""
    return RubricList(items=[RubricBody.of(rubric) for rubric in worker.evaluation.rubrics.all()])
