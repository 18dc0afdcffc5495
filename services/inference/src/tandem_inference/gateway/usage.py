"""Counts the tokens of an answer from what the engine says in passing, without parsing what it says otherwise.

The engine is always asked to tell usage in each event of a stream, so that an aborted one is counted as well; what the caller
did not ask for is taken out again, byte for byte, by `stream_usage`.
"""

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any

# Quotes inside a JSON string are escaped, so these bytes are never part of the model's text.
USAGE = b',"usage":{'


class Wish(Enum):
    """What the caller of a stream asked to be told of usage."""

    NOTHING = 0
    AT_THE_END = 1
    ALWAYS = 2


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int


def ask_for_usage(body: dict[str, Any]) -> Wish | None:
    """Have `body` ask the engine for usage in each event; return what the caller had asked for.

    None, and `body` as it was, when it asks for no stream, or in a way that is the engine's to judge.
    """
    options = body.get("stream_options")
    if body.get("stream") is not True or not isinstance(options, dict | None):
        return None
    options = options or {}
    wanted = [options.get(name) for name in ("include_usage", "continuous_usage_stats")]
    if not all(isinstance(value, bool | None) for value in wanted):
        return None
    body["stream_options"] = options | {"include_usage": True, "continuous_usage_stats": True}
    if not wanted[0]:
        return Wish.NOTHING
    return Wish.ALWAYS if wanted[1] else Wish.AT_THE_END


def usage_in(answer: bytes) -> Usage | None:
    """Return the usage that a whole answer tells, None when it tells none."""
    at = answer.rfind(USAGE)
    return None if at < 0 else read_usage(answer[at + len(USAGE) - 1 : end_of_object(answer, at)])


def end_of_object(data: bytes, at: int) -> int:
    """Return where the usage object that begins at `at` ends. It holds numbers and objects, and no text."""
    end = data.find(b"}", at)
    depth = data.count(b"{", at, end) - 1
    while depth and end >= 0:
        start, end = end + 1, data.find(b"}", end + 1)
        depth += data.count(b"{", start, end) - 1
    return end + 1


def read_usage(told: bytes) -> Usage | None:
    """Return the usage object `told`; None when it is not one."""
    try:
        found = json.loads(told)
        return Usage(int(found["prompt_tokens"]), int(found.get("completion_tokens") or 0))
    except (ValueError, LookupError, TypeError):
        return None
