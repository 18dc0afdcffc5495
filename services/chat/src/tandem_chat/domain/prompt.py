"""Which part of a conversation the model sees: whole turns, the newest, as many as fit.

Counting tokens is the engine's business; this only decides what to leave out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tandem_chat.domain.conversation import Message, Role


@dataclass(frozen=True)
class PromptMessage:
    """A message as the engine takes it."""

    role: str
    content: str


SYSTEM_ROLE: Final = "system"


def prompt_messages(
    messages: Sequence[Message], question: str | None = None, *, system_prompt: str = ""
) -> list[PromptMessage]:
    """Return `system_prompt`, if any, what was said so far, and `question` after it, with the roles taking turns.

    A reply that never got any text is left out, and the questions around it become one: strict chat templates refuse two
    messages of the same role in a row.
    """
    said = [PromptMessage(message.role, message.content) for message in messages if message.content]
    if question is not None:
        said.append(PromptMessage(Role.USER, question))
    turns: list[PromptMessage] = []
    for message in said:
        if turns and turns[-1].role == message.role:
            turns[-1] = PromptMessage(message.role, f"{turns[-1].content}\n\n{message.content}")
        else:
            turns.append(message)
    return [PromptMessage(SYSTEM_ROLE, system_prompt), *turns] if system_prompt else turns


def without_oldest_turns(messages: Sequence[PromptMessage], turns: int) -> list[PromptMessage]:
    """Drop the `turns` oldest turns. A turn starts with a user's message; the last one and the system prompt stay."""
    starts = [index for index, message in enumerate(messages) if message.role == Role.USER]
    if not starts:
        return list(messages)
    system = [message for message in messages[:1] if message.role == SYSTEM_ROLE]
    return system + list(messages[starts[min(turns, len(starts) - 1)] if turns else len(system) :])


def turn_count(messages: Sequence[PromptMessage]) -> int:
    """Return how many turns there are."""
    return sum(message.role == Role.USER for message in messages)
