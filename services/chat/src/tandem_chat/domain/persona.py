"""Personas: named ways to answer, from the operator's configuration. A conversation keeps the one it was made with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tandem_chat.domain.errors import PersonaGoneError, UnknownPersonaError

DEFAULT_PERSONA: Final = "default"


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; None leaves it to the model's own default."""

    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Persona:
    """A preset. Without a `model` the service's own model answers; without `max_tokens` as long as the service allows."""

    name: str
    title: str
    system_prompt: str = ""
    model: str | None = None
    max_tokens: int | None = None
    sampling: Sampling = Sampling()


class Personas:
    """All personas by name; there always is one called `default`."""

    def __init__(self, personas: Mapping[str, Persona]) -> None:
        self.all = dict(personas)

    def chosen(self, name: str) -> Persona:
        """Return the persona for a new conversation. Raises UnknownPersonaError with the known names."""
        if name not in self.all:
            known = ", ".join(sorted(self.all))
            raise UnknownPersonaError(f"persona: expected one of {known}, got {name[:80]!r}")
        return self.all[name]

    def of_conversation(self, conversation_id: str, name: str) -> Persona:
        """Return the persona of an older conversation; to answer as another would surprise. Raises PersonaGoneError."""
        if name not in self.all:
            raise PersonaGoneError(
                f"conversation {conversation_id}: its persona {name!r} is not configured any more; start a new conversation"
            )
        return self.all[name]
