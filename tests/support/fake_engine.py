"""An engine in memory behind feedback's port: it answers as told and remembers what it was asked."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from tandem_feedback.application.ports import ChatMessages, Generation
from tandem_feedback.domain.errors import EngineUnavailableError

GOOD_ANSWER = json.dumps(
    {"score": 4, "summary": "Right.", "strengths": ["Short."], "improvements": ["Show how."]}
)


def generation(text: str = GOOD_ANSWER, *, truncated: bool = False) -> Generation:
    return Generation(text, truncated, prompt_tokens=100, completion_tokens=20)


@dataclass
class FakeEngine:
    """A token is a word. `acts` are used up call by call; afterwards every answer is good."""

    window: int = 2000
    acts: list[Generation | Exception] = field(default_factory=list)
    gate: asyncio.Event | None = None
    ready: bool = True
    asked: list[dict[str, Any]] = field(default_factory=list)
    interrupted: int = 0

    async def free_tokens(self, model: str, messages: ChatMessages) -> int:
        return self.window - sum(len(message["content"].split()) for message in messages)

    async def generate(self, model: str, messages: ChatMessages, **options: Any) -> Generation:
        self.asked.append({"model": model, "messages": messages, **options})
        act = self.acts.pop(0) if self.acts else generation()
        if self.gate is not None:
            await self._wait(self.gate)
        if isinstance(act, Exception):
            raise act
        return act

    async def _wait(self, gate: asyncio.Event) -> None:
        try:
            await gate.wait()
        except asyncio.CancelledError:
            self.interrupted += 1
            raise

    async def require_ready(self) -> None:
        if not self.ready:
            raise EngineUnavailableError("the engine is starting", retry_after=3.4)
