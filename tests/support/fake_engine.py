"""An engine in memory behind feedback's port: it answers as told and remembers what it was asked."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tandem_feedback.application.ports import ChatMessages, Generation, PromptSize, ServedModel
from tandem_feedback.domain.errors import EngineUnavailableError

GOOD_ANSWER = json.dumps(
    {"score": 4, "summary": "Right.", "strengths": ["Short."], "improvements": ["Show how."]}
)


def generation(text: str = GOOD_ANSWER, *, truncated: bool = False) -> Generation:
    return Generation(text, truncated, prompt_tokens=100, completion_tokens=20)


@dataclass
class FakeEngine:
    """A token is a word. `acts` are used up call by call; afterwards `write` answers, or every answer is a plain good one.

    `adapters` maps an adapter's name to its base model.
    """

    window: int = 2000
    acts: list[Generation | Exception] = field(default_factory=list)
    write: Callable[[dict[str, Any]], Any] | None = None
    adapters: dict[str, str] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    ready: bool = True
    asked: list[dict[str, Any]] = field(default_factory=list)
    interrupted: int = 0

    async def identify(self, name: str) -> ServedModel:
        return ServedModel(self.adapters[name], adapter=name) if name in self.adapters else ServedModel(name)

    async def measure(self, model: str, messages: ChatMessages) -> PromptSize:
        words = sum(len(message["content"].split()) for message in messages)
        return PromptSize(prompt_tokens=words, window_tokens=self.window)

    async def generate(self, model: str, messages: ChatMessages, **options: Any) -> Generation:
        self.asked.append({"model": model, "messages": messages, **options})
        act = self.acts.pop(0) if self.acts else self._written()
        if self.gate is not None:
            await self._wait(self.gate)
        if isinstance(act, Exception):
            raise act
        return act

    def _written(self) -> Generation:
        return generation(json.dumps(self.write(self.asked[-1]))) if self.write else generation()

    async def _wait(self, gate: asyncio.Event) -> None:
        try:
            await gate.wait()
        except asyncio.CancelledError:
            self.interrupted += 1
            raise

    async def require_ready(self) -> None:
        if not self.ready:
            raise EngineUnavailableError("the engine is starting", retry_after=3.4)
