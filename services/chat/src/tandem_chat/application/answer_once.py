"""Answers a list of messages without storing them: for callers that keep their conversations themselves.

Limits and usage are those of stored replies. Leaving the stream frees the engine's slot at once.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from tandem_chat.application.ports import Engine, ReplyPiece, Store
from tandem_chat.domain.allowance import Limits, TokenUsage
from tandem_chat.domain.errors import MessageTooLongError
from tandem_chat.domain.persona import Persona, Sampling
from tandem_chat.domain.prompt import SYSTEM_ROLE, PromptMessage


@dataclass(frozen=True)
class Wish:
    """What a caller wants: by whom, to what, how long and how. None leaves it to the persona."""

    persona: Persona
    messages: Sequence[PromptMessage]
    max_tokens: int | None
    sampling: Sampling


class AnswerOnce:
    """The use case, for one owner; `open_answers` is shared by all owners of this process."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        owner: str,
        limits: Limits,
        *,
        longest_answer_tokens: int,
        open_answers: Counter[str],
    ) -> None:
        self._store = store
        self._engine = engine
        self._owner = owner
        self._limits = limits
        self._longest = longest_answer_tokens
        self._open = open_answers

    @asynccontextmanager
    async def answer(self, wish: Wish) -> AsyncIterator[AsyncIterator[ReplyPiece]]:
        """Open the answer as a stream of pieces, of which one at least tells the usage.

        Raises:
            RateLimitedError, TooManyRepliesError, DailyTokensUsedError: the owner has to wait.
            MessageTooLongError: the messages leave no room for an answer; nothing is left out here.
            EngineNotReadyError, EngineRefusedError, EngineBrokeOffError: as of `ports.Engine.stream_reply`.
        """
        await self._count_in()
        self._open[self._owner] += 1
        used: TokenUsage | None = None

        async def noted(pieces: AsyncIterator[ReplyPiece]) -> AsyncIterator[ReplyPiece]:
            nonlocal used
            async for piece in pieces:
                used = piece.usage or used
                yield piece

        try:
            prompt = _prompt(wish)
            max_tokens = await self._room(prompt, wish)
            persona = wish.persona
            async with self._engine.stream_reply(
                prompt, max_tokens=max_tokens, model=persona.model, sampling=_sampling(wish)
            ) as pieces:
                yield noted(pieces)
        finally:
            self._open[self._owner] -= 1
            if used is not None:
                async with self._store.write() as transaction:
                    await transaction.add_usage(self._owner, used)

    async def _count_in(self) -> None:
        if self._limits == Limits():
            return
        async with self._store.write() as transaction:
            activity = await transaction.activity(self._owner)
            writing = activity.writing + self._open[self._owner]
            self._limits.require_room(replace(activity, writing=writing))
            await transaction.note_start(self._owner)

    async def _room(self, prompt: Sequence[PromptMessage], wish: Wish) -> int:
        count = await self._engine.count_tokens(prompt, model=wish.persona.model)
        room = count.window_tokens - count.prompt_tokens
        if room < 1:
            raise MessageTooLongError(
                f"messages: expected fewer than {count.window_tokens} tokens including the model's own markup, "
                f"got {count.prompt_tokens}; shorten or leave out some"
            )
        wanted = (wish.max_tokens, wish.persona.max_tokens, self._longest, room)
        return min(tokens for tokens in wanted if tokens is not None)


def _prompt(wish: Wish) -> list[PromptMessage]:
    system = wish.persona.system_prompt
    return [*([PromptMessage(SYSTEM_ROLE, system)] if system else []), *wish.messages]


def _sampling(wish: Wish) -> Sampling:
    own, asked = wish.persona.sampling, wish.sampling
    return Sampling(
        temperature=own.temperature if asked.temperature is None else asked.temperature,
        top_p=own.top_p if asked.top_p is None else asked.top_p,
        seed=own.seed if asked.seed is None else asked.seed,
        stop=asked.stop or own.stop,
    )
