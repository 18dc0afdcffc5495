"""Routes of feedback: ask for it, read it, list it, follow its states."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from tandem_chat.domain.errors import (
    ConversationNotFoundError,
    FeedbackNotFoundError,
    NothingToJudgeError,
    ReplyInProgressError,
)
from tandem_chat.domain.feedback import Feedback
from tandem_chat.entrypoints.http.dependencies import ResourceId, SettingsDep, UseCasesDep
from tandem_chat.entrypoints.http.documentation import problems
from tandem_chat.entrypoints.http.schemas import FeedbackBody, FeedbackList, NewFeedback
from tandem_contracts.feedback import RubricRef

router = APIRouter(prefix="/v1", tags=["feedback"], responses=problems())


@router.post(
    "/conversations/{conversation_id}/feedback",
    status_code=202,
    responses=problems(ConversationNotFoundError, ReplyInProgressError, NothingToJudgeError),
)
async def request_feedback(
    use_cases: UseCasesDep,
    settings: SettingsDep,
    conversation_id: ResourceId,
    response: Response,
    body: NewFeedback | None = None,
) -> FeedbackBody:
    """Ask for feedback on the conversation as it is now; it is written later."""
    own = RubricRef(id=settings.feedback_rubric, version=settings.feedback_rubric_version)
    rubric = (body.rubric if body else None) or own
    feedback = await use_cases.request_feedback.request(conversation_id, rubric)
    response.headers["Location"] = f"/v1/feedback/{feedback.id}"
    return FeedbackBody.of(feedback)


@router.get("/conversations/{conversation_id}/feedback", responses=problems(ConversationNotFoundError))
async def list_feedback(use_cases: UseCasesDep, conversation_id: ResourceId) -> FeedbackList:
    """List a conversation's feedback, newest first."""
    found = await use_cases.follow_feedback.of_conversation(conversation_id)
    return FeedbackList(items=[FeedbackBody.of(feedback) for feedback in found])


async def _existing(use_cases: UseCasesDep, feedback_id: ResourceId) -> Feedback:
    return await use_cases.follow_feedback.read(feedback_id)


@router.get("/feedback/{feedback_id}", responses=problems(FeedbackNotFoundError))
async def read_feedback(feedback: Annotated[Feedback, Depends(_existing)]) -> FeedbackBody:
    """Read one feedback."""
    return FeedbackBody.of(feedback)


@router.get(
    "/feedback/{feedback_id}/events",
    response_class=EventSourceResponse,
    responses=problems(FeedbackNotFoundError),
)
async def follow_feedback(
    use_cases: UseCasesDep, feedback: Annotated[Feedback, Depends(_existing)]
) -> AsyncIterator[ServerSentEvent]:
    """Stream the feedback now and at each change, until it has its outcome."""
    async for state in use_cases.follow_feedback.follow(feedback.id):
        yield ServerSentEvent(event="feedback", data=FeedbackBody.of(state))
