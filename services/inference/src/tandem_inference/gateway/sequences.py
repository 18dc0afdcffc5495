"""How many sequences a request makes the engine run: prompts times answers to each. Judges nothing."""

from collections.abc import Mapping
from typing import Any


def prompts_of(body: Mapping[str, Any]) -> int:
    """Return how many prompts `body` holds: a list of texts or of token lists is several, a list of tokens is one."""
    prompts = body.get("prompt", body.get("input"))
    if isinstance(prompts, list) and prompts and not isinstance(prompts[0], int):
        return len(prompts)
    return 1


def answers_of(body: Mapping[str, Any]) -> int:
    """Return how many answers to each prompt `body` asks for."""
    n = body.get("n")
    return n if isinstance(n, int) and n > 1 else 1
