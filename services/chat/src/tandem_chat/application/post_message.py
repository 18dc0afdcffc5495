"""Takes a user's message, stores it with an empty reply, and has the reply written; or writes a broken reply again.

What the model sees is decided here, before anything is stored: a message that can never fit is refused whole.
"""

import logging
from collections.abc import Sequence
from uuid import uuid4

from tandem_chat.application.ports import Engine, ReadTransaction, Store, WriteTransaction
from tandem_chat.application.run_replies import ReplyRunner
from tandem_chat.domain.allowance import Limits
from tandem_chat.domain.conversation import RETRYABLE_STATES, Message, MessageState, Role, title_from
from tandem_chat.domain.errors import (
    MessageNotFoundError,
    MessageTooLongError,
    ReplyInProgressError,
    ReplyNotRetryableError,
)
from tandem_chat.domain.owner import LOCAL_OWNER
from tandem_chat.domain.persona import Persona, Personas
from tandem_chat.domain.prompt import PromptMessage, prompt_messages, turn_count, without_oldest_turns

logger = logging.getLogger(__name__)

_NO_LIMITS = Limits()


class PostMessage:
    """The use cases that start a reply."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        runner: ReplyRunner,
        personas: Personas,
        *,
        owner: str = LOCAL_OWNER,
        limits: Limits = _NO_LIMITS,
    ) -> None:
        self._store = store
        self._engine = engine
        self._runner = runner
        self._personas = personas
        self._owner = owner
        self._limits = limits

    async def post(self, conversation_id: str, content: str) -> tuple[Message, Message]:
        """Store the message and start its reply; return both.

        Raises:
            ConversationNotFoundError, ReplyInProgressError, MessageTooLongError, PersonaGoneError: nothing was stored.
            RateLimitedError, TooManyRepliesError, DailyTokensUsedError: nothing was stored.
            EngineNotReadyError: nothing was stored; the same call will work once the engine serves.
        """
        async with self._store.read() as transaction:
            conversation = await transaction.conversation(conversation_id)
            history = await transaction.messages(conversation_id)
            _require_finished(history)
            await self._require_room(transaction)
        persona = self._personas.of_conversation(conversation_id, conversation.persona)
        prompt, max_tokens = await self._fit(persona, history, content)

        async with self._store.write() as transaction:
            await transaction.lock_conversation(conversation_id)
            current = await transaction.messages(conversation_id)
            # Somebody may have posted or retried while the tokens were counted; the prompt would miss it.
            if current != history:
                raise ReplyInProgressError(
                    f"conversation {conversation_id}: another message came first; read it and send again"
                )
            await self._begin(transaction)
            now = await transaction.now()
            question = Message(
                str(uuid4()), conversation_id, len(current), Role.USER, content, MessageState.COMPLETED, now
            )
            reply = Message(
                str(uuid4()), conversation_id, len(current) + 1, Role.ASSISTANT, "", MessageState.QUEUED, now
            )
            await transaction.add_message(question)
            await transaction.add_message(reply)
            await transaction.claim_reply(
                reply.id, owner=self._runner.owner, until=now + self._runner.lease()
            )
            await transaction.touch_conversation(conversation_id, at=now, title=title_from(content))
        self._runner.start(reply, prompt, persona, max_tokens=max_tokens, owner=self._owner)
        return question, reply

    async def retry(self, message_id: str) -> Message:
        """Write a stopped, interrupted or failed reply again, from nothing; return it.

        Raises:
            MessageNotFoundError: no reply has this id.
            ReplyNotRetryableError: it is not the conversation's last message, or it completed.
            ReplyInProgressError: it is being written.
            RateLimitedError, TooManyRepliesError, DailyTokensUsedError, EngineNotReadyError: nothing was changed.
        """
        async with self._store.read() as transaction:
            reply = await transaction.message(message_id)
            conversation = await transaction.conversation(reply.conversation_id)
            history = await transaction.messages(reply.conversation_id)
            _require_retryable(reply, history)
            await self._require_room(transaction)
        persona = self._personas.of_conversation(conversation.id, conversation.persona)
        prompt, max_tokens = await self._fit(persona, history[:-1])

        async with self._store.write() as transaction:
            await transaction.lock_conversation(reply.conversation_id)
            history = await transaction.messages(reply.conversation_id)
            reply = await transaction.message(message_id)
            _require_retryable(reply, history)
            await self._begin(transaction)
            now = await transaction.now()
            await transaction.claim_reply(
                reply.id, owner=self._runner.owner, until=now + self._runner.lease()
            )
            reply = await transaction.message(message_id)
        self._runner.start(reply, prompt, persona, max_tokens=max_tokens, owner=self._owner)
        return reply

    async def _begin(self, transaction: WriteTransaction) -> None:
        """Look at the limits once more, now that the tokens are counted and others may have begun."""
        await self._require_room(transaction)
        if self._limits.replies_per_minute is not None:
            await transaction.note_start(self._owner)

    async def _require_room(self, transaction: ReadTransaction) -> None:
        if self._limits != _NO_LIMITS:
            self._limits.require_room(await transaction.activity(self._owner))

    async def _fit(
        self, persona: Persona, history: Sequence[Message], question: str | None = None
    ) -> tuple[list[PromptMessage], int]:
        """Leave out the oldest turns until the prompt and a reply fit; return it and the room for the reply."""
        prompt = prompt_messages(history, question, system_prompt=persona.system_prompt)
        longest = min(self._runner.max_tokens, persona.max_tokens or self._runner.max_tokens)
        turns = turn_count(prompt)
        dropped = 0
        while True:
            fitted = without_oldest_turns(prompt, dropped)
            count = await self._engine.count_tokens(fitted, model=persona.model)
            room = count.window_tokens - count.prompt_tokens
            # At least a quarter of the window stays for the answer, or as much as an answer may take.
            needed = min(longest, count.window_tokens // 4)
            if room >= needed:
                break
            if dropped >= turns - 1:
                raise MessageTooLongError(
                    f"content: expected at most {count.window_tokens - needed} tokens including the model's "
                    f"own markup, got {count.prompt_tokens}; shorten the message"
                )
            # Halving the turns finds a fit in few counts; a turn too many left out costs little.
            dropped += max(1, (turns - dropped) // 2) if turns - dropped > 2 else 1
        if dropped:
            logger.info("prompt.trimmed", extra={"dropped_turns": dropped, "turns": turns})
        return fitted, min(longest, room)


def _require_finished(history: Sequence[Message]) -> None:
    if history and not history[-1].state.is_final:
        raise ReplyInProgressError(
            f"conversation {history[-1].conversation_id}: its last reply is still being written; wait or stop it"
        )


def _require_retryable(reply: Message, history: Sequence[Message]) -> None:
    if reply.role != Role.ASSISTANT:
        raise MessageNotFoundError(f"reply {reply.id}: not found")
    _require_finished(history)
    if not history or history[-1].id != reply.id or reply.state not in RETRYABLE_STATES:
        raise ReplyNotRetryableError(
            f"reply {reply.id}: only the last reply can be written again, and only if it was stopped, interrupted or failed"
        )
