"""What feedback's use cases need of an engine; `adapters` has the real one, `jobs_port` what they need of a database."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

ChatMessages = Sequence[dict[str, str]]


@dataclass(frozen=True)
class Generation:
    """One answer of the engine."""

    text: str
    truncated: bool
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class PromptSize:
    """A prompt as the engine counts it, with all that its template adds."""

    prompt_tokens: int
    window_tokens: int

    @property
    def free_tokens(self) -> int:
        """What is left for the answer; negative when the prompt does not even fit."""
        return self.window_tokens - self.prompt_tokens


@dataclass(frozen=True)
class ServedModel:
    """What answers to a model's name: a base model, or an adapter on one."""

    model: str
    adapter: str | None = None


class Engine(Protocol):
    """The language model behind the inference gateway, used in the background class.

    Every method raises EngineUnavailableError when waiting helps and EngineRefusedError when it does not.
    """

    async def identify(self, name: str) -> ServedModel:
        """Tell whether `name` is a model or an adapter; an unknown name is taken for a model."""

    async def measure(self, model: str, messages: ChatMessages) -> PromptSize:
        """Count the prompt's tokens exactly."""

    async def generate(
        self,
        model: str,
        messages: ChatMessages,
        *,
        schema: dict[str, Any],
        max_tokens: int,
        seed: int,
        temperature: float,
        cache_salt: str,
    ) -> Generation:
        """Generate JSON that keeps to `schema`. Cancelling frees the engine's slot at once.

        Work on a prompt's beginning is only shared between calls with the same `cache_salt`.
        """

    async def require_ready(self) -> None:
        """Return when the engine serves; raises EngineUnavailableError otherwise."""
