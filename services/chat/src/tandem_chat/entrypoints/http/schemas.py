"""Bodies of chat's HTTP face: what a caller may send, and how conversations, messages and feedback look to them."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tandem_chat.domain.conversation import Conversation, Message
from tandem_chat.domain.feedback import Feedback
from tandem_chat.domain.persona import DEFAULT_PERSONA
from tandem_contracts.feedback import FeedbackResult, RubricRef


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not contain halves of surrogate pairs (\\ud800 to \\udfff) alone")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("expected some text, got nothing but white space")
    return text


StorableText = Annotated[str, AfterValidator(_storable)]
NonBlankText = Annotated[StorableText, AfterValidator(_not_blank)]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewConversation(_Input):
    """A conversation to create."""

    title: StorableText = Field(
        default="", max_length=200, description="Left empty, the first message gives it."
    )
    persona: StorableText = Field(
        default=DEFAULT_PERSONA, max_length=64, description="Who answers; GET /v1/personas lists them."
    )


class NewMessage(_Input):
    """A user's message. How long it may be is a setting, checked by the handler."""

    content: NonBlankText = Field(
        description="The message as plain text; it must hold more than white space."
    )


class NewFeedback(_Input):
    """A wish for feedback."""

    rubric: RubricRef | None = Field(
        default=None, description="How to judge; left out, the service's own setting decides."
    )


class ErrorBody(BaseModel):
    """Why a reply or a feedback failed."""

    code: str
    detail: str


class MessageBody(BaseModel):
    """A message as a caller sees it."""

    id: str
    role: Literal["user", "assistant"]
    content: str
    state: str
    created_at: datetime
    error: ErrorBody | None = None

    @classmethod
    def of(cls, message: Message) -> Self:
        """Show `message`."""
        return cls(
            id=message.id,
            role=message.role.value,
            content=message.content,
            state=message.state.value,
            created_at=message.created_at,
            error=_error(message.error_code, message.error_detail),
        )


class ConversationBody(BaseModel):
    """A conversation in a list."""

    id: str
    title: str
    created_at: datetime
    updated_at: datetime
    message_count: int
    persona: str

    @classmethod
    def of(cls, conversation: Conversation) -> Self:
        """Show `conversation`."""
        return cls.model_validate(conversation, from_attributes=True)


class ConversationWithMessages(ConversationBody):
    """A conversation with all it holds."""

    messages: list[MessageBody]


class ConversationPage(BaseModel):
    """A page of conversations."""

    items: list[ConversationBody]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null at the end.")


class FeedbackBody(BaseModel):
    """A feedback as a caller sees it."""

    id: str
    conversation_id: str
    state: str
    requested_at: datetime
    finished_at: datetime | None
    result: FeedbackResult | None
    error: ErrorBody | None

    @classmethod
    def of(cls, feedback: Feedback) -> Self:
        """Show `feedback`."""
        return cls(
            id=feedback.id,
            conversation_id=feedback.conversation_id,
            state=feedback.state.value,
            requested_at=feedback.requested_at,
            finished_at=feedback.finished_at,
            result=feedback.result,
            error=_error(feedback.error_code, feedback.error_detail),
        )


class FeedbackList(BaseModel):
    """A conversation's feedback, newest first."""

    items: list[FeedbackBody]


def _error(code: str | None, detail: str | None) -> ErrorBody | None:
    return ErrorBody(code=code, detail=detail or "") if code else None
