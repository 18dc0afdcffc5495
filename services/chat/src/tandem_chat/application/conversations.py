"""Creates, lists, reads and deletes conversations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from tandem_chat.application.ports import Store
from tandem_chat.application.run_replies import ReplyRunner
from tandem_chat.domain.conversation import Conversation, Message
from tandem_chat.domain.persona import DEFAULT_PERSONA, Personas


@dataclass(frozen=True)
class Page:
    """A page of conversations; `next_before` asks for the one after it, None at the end."""

    items: Sequence[Conversation]
    next_before: tuple[datetime, str] | None


class Conversations:
    """The use cases on conversations as a whole."""

    def __init__(self, store: Store, runner: ReplyRunner, personas: Personas) -> None:
        self._store = store
        self._runner = runner
        self._personas = personas

    async def create(self, title: str, persona: str = DEFAULT_PERSONA) -> Conversation:
        """Store a new, empty conversation; an empty title is filled from its first message. Raises UnknownPersonaError."""
        self._personas.chosen(persona)
        async with self._store.write() as transaction:
            now = await transaction.now()
            conversation = Conversation(str(uuid4()), title, now, now, message_count=0, persona=persona)
            await transaction.add_conversation(conversation)
        return conversation

    async def page(self, *, limit: int, before: tuple[datetime, str] | None) -> Page:
        """Return up to `limit` conversations, the most recently active first."""
        async with self._store.read() as transaction:
            found = await transaction.conversations(limit=limit + 1, before=before)
        items = found[:limit]
        more = len(found) > limit
        return Page(items, (items[-1].updated_at, items[-1].id) if more else None)

    async def read(self, conversation_id: str) -> tuple[Conversation, Sequence[Message]]:
        """Return a conversation with its messages. Raises ConversationNotFoundError."""
        async with self._store.read() as transaction:
            conversation = await transaction.conversation(conversation_id)
            return conversation, await transaction.messages(conversation_id)

    async def delete(self, conversation_id: str) -> None:
        """Delete for good, stopping a reply that is being written. Raises ConversationNotFoundError."""
        async with self._store.write() as transaction:
            await transaction.lock_conversation(conversation_id)
            written = [m for m in await transaction.messages(conversation_id) if not m.state.is_final]
            await transaction.delete_conversation(conversation_id)
        for message in written:
            self._runner.stop(message.id)
