"""Routes of conversations: create, list, read, delete."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from tandem_chat.domain.errors import ConversationNotFoundError, UnknownPersonaError
from tandem_chat.entrypoints.http.cursor import decode_cursor, encode_cursor
from tandem_chat.entrypoints.http.dependencies import ResourceId, UseCasesDep
from tandem_chat.entrypoints.http.documentation import problems
from tandem_chat.entrypoints.http.schemas import (
    ConversationBody,
    ConversationPage,
    ConversationWithMessages,
    MessageBody,
    NewConversation,
)

router = APIRouter(prefix="/v1/conversations", tags=["conversations"], responses=problems())


@router.post("", status_code=201, responses=problems(UnknownPersonaError))
async def create_conversation(
    use_cases: UseCasesDep, response: Response, body: NewConversation | None = None
) -> ConversationBody:
    """Create an empty conversation."""
    wanted = body or NewConversation()
    conversation = await use_cases.conversations.create(wanted.title, wanted.persona)
    response.headers["Location"] = f"/v1/conversations/{conversation.id}"
    return ConversationBody.of(conversation)


@router.get("")
async def list_conversations(
    use_cases: UseCasesDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> ConversationPage:
    """List conversations, the most recently active first."""
    page = await use_cases.conversations.page(limit=limit, before=decode_cursor(cursor))
    return ConversationPage(
        items=[ConversationBody.of(item) for item in page.items], next_cursor=encode_cursor(page.next_before)
    )


@router.get("/{conversation_id}", responses=problems(ConversationNotFoundError))
async def read_conversation(use_cases: UseCasesDep, conversation_id: ResourceId) -> ConversationWithMessages:
    """Read a conversation with its messages."""
    conversation, messages = await use_cases.conversations.read(conversation_id)
    return ConversationWithMessages(
        **ConversationBody.of(conversation).model_dump(),
        messages=[MessageBody.of(message) for message in messages],
    )


@router.delete("/{conversation_id}", status_code=204, responses=problems(ConversationNotFoundError))
async def delete_conversation(use_cases: UseCasesDep, conversation_id: ResourceId) -> None:
    """Delete a conversation for good, with its messages and feedback."""
    await use_cases.conversations.delete(conversation_id)
