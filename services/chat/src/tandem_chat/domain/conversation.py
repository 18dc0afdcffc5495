"""Conversations and their messages. A reply is a message that is written over time and says in which state it is."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from tandem_chat.domain.persona import DEFAULT_PERSONA

TITLE_CHARS: Final = 60


class Role(StrEnum):
    """Who wrote a message."""

    USER = "user"
    ASSISTANT = "assistant"


class MessageState(StrEnum):
    """How far a message is; a user's message is complete from the start."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    STOPPED = "stopped"  # by the user; the text so far is kept
    INTERRUPTED = "interrupted"  # by a crash or restart of chat; the text so far is kept
    FAILED = "failed"  # by the engine; the text so far is kept

    @property
    def is_final(self) -> bool:
        return self not in (MessageState.QUEUED, MessageState.RUNNING)


RETRYABLE_STATES: Final = (MessageState.STOPPED, MessageState.INTERRUPTED, MessageState.FAILED)


@dataclass(frozen=True)
class Conversation:
    """A conversation as a list shows it."""

    id: str
    title: str
    created_at: datetime
    updated_at: datetime
    message_count: int
    persona: str = DEFAULT_PERSONA


@dataclass(frozen=True)
class Message:
    """One message; `position` counts from 0 inside its conversation."""

    id: str
    conversation_id: str
    position: int
    role: Role
    content: str
    state: MessageState
    created_at: datetime
    error_code: str | None = None
    error_detail: str | None = None


def title_from(content: str) -> str:
    """Make a conversation's title of its first message: the first line, cut at a word where there is one."""
    line = next((line.strip() for line in content.splitlines() if line.strip()), "")
    if len(line) <= TITLE_CHARS:
        return line
    cut = line[:TITLE_CHARS]
    at_word = cut.rsplit(" ", 1)[0]
    return (at_word if len(at_word) > TITLE_CHARS // 2 else cut) + "…"
