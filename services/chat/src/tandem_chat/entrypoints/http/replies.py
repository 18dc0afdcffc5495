"""Routes of messages and their replies: post, follow from any position, stop, write again.

A reply is written whether or not anybody reads: closing a stream stops nothing.
"""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.exceptions import RequestValidationError
from fastapi.sse import EventSourceResponse, ServerSentEvent

from tandem_chat.bootstrap import UseCases
from tandem_chat.domain.conversation import Message, MessageState
from tandem_chat.domain.errors import (
    ConversationNotFoundError,
    EngineNotReadyError,
    EngineRefusedError,
    MessageNotFoundError,
    MessageTooLongError,
    PersonaGoneError,
    ReplyInProgressError,
    ReplyNotRetryableError,
)
from tandem_chat.entrypoints.http.dependencies import ResourceId, SettingsDep, UseCasesDep
from tandem_chat.entrypoints.http.documentation import problems
from tandem_chat.entrypoints.http.problems import problem_of_failed_reply
from tandem_chat.entrypoints.http.schemas import MessageBody, NewMessage
from tandem_chat.entrypoints.http.usage import LIMIT_ERRORS, rate_headers

router = APIRouter(prefix="/v1", tags=["replies"], responses=problems())


async def _posted(
    use_cases: UseCasesDep,
    settings: SettingsDep,
    response: Response,
    conversation_id: ResourceId,
    body: NewMessage,
) -> tuple[Message, Message]:
    if len(body.content) > settings.max_message_chars:
        message = f"expected at most {settings.max_message_chars} characters, got {len(body.content)}"
        raise RequestValidationError(
            [{"type": "string_too_long", "loc": ("body", "content"), "msg": message}]
        )
    posted = await use_cases.post_message.post(conversation_id, body.content)
    response.headers.update(await rate_headers(use_cases))
    return posted


async def _retried(use_cases: UseCasesDep, response: Response, message_id: ResourceId) -> Message:
    reply = await use_cases.post_message.retry(message_id)
    response.headers.update(await rate_headers(use_cases))
    return reply


async def _existing(use_cases: UseCasesDep, message_id: ResourceId) -> Message:
    return await use_cases.follow_reply.read(message_id)


# Errors must be raised in dependencies: once a generator runs, the answer has begun with 200.
@router.post(
    "/conversations/{conversation_id}/messages",
    response_class=EventSourceResponse,
    responses=problems(
        ConversationNotFoundError,
        ReplyInProgressError,
        MessageTooLongError,
        PersonaGoneError,
        *LIMIT_ERRORS,
        EngineRefusedError,
        EngineNotReadyError,
    ),
)
async def post_message(
    use_cases: UseCasesDep, posted: Annotated[tuple[Message, Message], Depends(_posted)]
) -> AsyncIterator[ServerSentEvent]:
    """Post a message and stream its reply: `reply`, then `delta`s, then `end`."""
    question, reply = posted
    yield _begun(question, reply)
    async for event in _events(use_cases, reply.id, after=0):
        yield event


@router.post(
    "/replies/{message_id}/retry",
    response_class=EventSourceResponse,
    responses=problems(
        MessageNotFoundError,
        ReplyInProgressError,
        ReplyNotRetryableError,
        MessageTooLongError,
        PersonaGoneError,
        *LIMIT_ERRORS,
        EngineRefusedError,
        EngineNotReadyError,
    ),
)
async def retry_reply(
    use_cases: UseCasesDep, reply: Annotated[Message, Depends(_retried)]
) -> AsyncIterator[ServerSentEvent]:
    """Write a stopped, interrupted or failed reply again, and stream it."""
    yield _begun(None, reply)
    async for event in _events(use_cases, reply.id, after=0):
        yield event


@router.get(
    "/replies/{message_id}/events",
    response_class=EventSourceResponse,
    responses=problems(MessageNotFoundError),
)
async def follow_reply(
    use_cases: UseCasesDep,
    reply: Annotated[Message, Depends(_existing)],
    after: Annotated[int | None, Query(ge=0, le=2**31)] = None,
    last_event_id: Annotated[int | None, Header(ge=0, le=2**31)] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Stream a reply from a position on: `after`, or the `Last-Event-ID` of a stream that was cut."""
    async for event in _events(use_cases, reply.id, after=after if after is not None else last_event_id or 0):
        yield event


@router.get("/replies/{message_id}", responses=problems(MessageNotFoundError))
async def read_reply(reply: Annotated[Message, Depends(_existing)]) -> MessageBody:
    """Read a reply as far as it is stored."""
    return MessageBody.of(reply)


@router.post("/replies/{message_id}/stop", status_code=202, responses=problems(MessageNotFoundError))
async def stop_reply(use_cases: UseCasesDep, message_id: ResourceId) -> MessageBody:
    """Stop a reply; its text so far is kept."""
    return MessageBody.of(await use_cases.follow_reply.stop(message_id))


def _begun(question: Message | None, reply: Message) -> ServerSentEvent:
    data = {
        "conversation_id": reply.conversation_id,
        "user_message": MessageBody.of(question) if question else None,
        "reply": MessageBody.of(reply),
    }
    return ServerSentEvent(event="reply", data=data)


async def _events(use_cases: UseCases, message_id: str, *, after: int) -> AsyncIterator[ServerSentEvent]:
    async for position, text in use_cases.follow_reply.follow(message_id, after=after):
        yield ServerSentEvent(event="delta", id=str(position), data={"text": text})
    try:
        reply = await use_cases.follow_reply.read(message_id)
    except MessageNotFoundError:  # deleted while it was read
        return
    if reply.state == MessageState.FAILED:
        yield ServerSentEvent(event="problem", data=problem_of_failed_reply(reply))
    yield ServerSentEvent(event="end", data={"reply": MessageBody.of(reply)})
