"""Keeps the books of one judgement: what its calls of the engine cost in tokens and time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from tandem_contracts.feedback import Timings, TokenUsage
from tandem_feedback.application.ports import ChatMessages, Engine, Generation, PromptSize


class MeteredEngine:
    """The engine with one model chosen; make one for each judgement."""

    def __init__(self, engine: Engine, model: str) -> None:
        self.model = model
        # What is computed from a cached prefix differs in its last bits from what is computed afresh, and greedy decoding
        # makes other words of that: a judgement must not depend on what others asked before.
        self._cache_salt = uuid4().hex
        self._engine = engine
        self._seconds = {"counting": 0.0, "generating": 0.0}
        self._prompt_tokens = self._completion_tokens = 0

    @property
    def usage(self) -> TokenUsage:
        return TokenUsage(prompt_tokens=self._prompt_tokens, completion_tokens=self._completion_tokens)

    @property
    def timings(self) -> Timings:
        return Timings(
            counting_seconds=round(self._seconds["counting"], 3),
            generating_seconds=round(self._seconds["generating"], 3),
        )

    async def measure(self, messages: ChatMessages) -> PromptSize:
        with self._timed("counting"):
            return await self._engine.measure(self.model, messages)

    async def generate(self, messages: ChatMessages, **options: Any) -> Generation:
        with self._timed("generating"):
            generation = await self._engine.generate(
                self.model, messages, cache_salt=self._cache_salt, **options
            )
        self._prompt_tokens += generation.prompt_tokens
        self._completion_tokens += generation.completion_tokens
        return generation

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self._seconds[what] += time.monotonic() - started
