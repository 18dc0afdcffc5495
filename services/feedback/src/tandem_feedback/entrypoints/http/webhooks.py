"""The route of the delivery log: which webhooks a request had, and what came of each attempt."""

from datetime import datetime
from typing import Self

from fastapi import APIRouter
from pydantic import BaseModel

from tandem_contracts.feedback.v1 import Identifier
from tandem_feedback.domain.errors import JobNotFoundError
from tandem_feedback.domain.webhooks import DeliveryState, LoggedDelivery
from tandem_feedback.entrypoints.http.dependencies import GUARDED, WorkerDep
from tandem_feedback.entrypoints.http.documentation import problems

router = APIRouter(prefix="/v1/feedback", tags=["webhooks"], dependencies=GUARDED, responses=problems())


class AttemptBody(BaseModel):
    """One attempt to deliver."""

    number: int
    at: datetime
    status: int | None
    detail: str


class DeliveryBody(BaseModel):
    """One delivery and its attempts."""

    id: str
    url: str
    event_type: str
    state: DeliveryState
    created_at: datetime
    attempts: list[AttemptBody]

    @classmethod
    def of(cls, logged: LoggedDelivery) -> Self:
        """Show `logged`."""
        attempts = [
            AttemptBody(number=one.number, at=one.at, status=one.answer.status, detail=one.answer.detail)
            for one in logged.attempts
        ]
        delivery = logged.delivery
        return cls(
            id=delivery.id,
            url=delivery.url,
            event_type=delivery.event_type,
            state=delivery.state,
            created_at=delivery.created_at,
            attempts=attempts,
        )


class DeliveryLog(BaseModel):
    """A request's deliveries, the first one first."""

    items: list[DeliveryBody]


@router.get("/{request_id}/webhooks", responses=problems(JobNotFoundError))
async def read_webhooks(worker: WorkerDep, request_id: Identifier) -> DeliveryLog:
    """Read what became of a request's webhooks."""
    await worker.jobs.one(request_id)
    log = await worker.webhooks.log(request_id)
    return DeliveryLog(items=[DeliveryBody.of(logged) for logged in log])
