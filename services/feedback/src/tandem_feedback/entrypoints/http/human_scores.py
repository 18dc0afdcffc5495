"""Routes of what people think of conversations, and how far rubrics and models agree with them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from tandem_contracts.feedback.v1 import Identifier
from tandem_feedback.domain.errors import RequestTooLargeError
from tandem_feedback.entrypoints.http.dependencies import GUARDED, WorkerDep
from tandem_feedback.entrypoints.http.documentation import problems
from tandem_feedback.entrypoints.http.evaluation_schemas import (
    AgreementList,
    AgreementWithHumansBody,
    HumanScoreBody,
    HumanScoreList,
    NewHumanScore,
)
from tandem_feedback.entrypoints.http.json_body import documented, json_body

router = APIRouter(prefix="/v1", tags=["agreement"], dependencies=GUARDED, responses=problems())


@router.post(
    "/human-scores", responses=problems(RequestTooLargeError), openapi_extra=documented(NewHumanScore)
)
async def record_human_score(
    worker: WorkerDep, body: Annotated[NewHumanScore, Depends(json_body(NewHumanScore))]
) -> HumanScoreBody:
    """Store a person's score of a conversation; the same person's former score is replaced."""
    stored = await worker.evaluation.agreement.record(
        body.conversation_id, body.rater, score=body.score, comment=body.comment
    )
    return HumanScoreBody.of(stored)


@router.get("/human-scores")
async def list_human_scores(worker: WorkerDep, conversation_id: Identifier) -> HumanScoreList:
    """List a conversation's human scores."""
    found = await worker.evaluation.agreement.scores(conversation_id)
    return HumanScoreList(items=[HumanScoreBody.of(score) for score in found])


@router.get("/agreement")
async def measure_agreement(
    worker: WorkerDep,
    rubric_id: Identifier | None = None,
    version: Annotated[int | None, Query(ge=1, lt=2**31)] = None,
) -> AgreementList:
    """Compare people's scores with the newest result of each rubric version and model."""
    measured = await worker.evaluation.agreement.measure(rubric_id=rubric_id, version=version)
    return AgreementList(items=[AgreementWithHumansBody.of(one) for one in measured])
