"""The JSON that a judgement is written as: its schema, derived from the rubric, and how many tokens it may take.

The bounds on texts and lists become part of the grammar that the model must follow; they keep a small model from running on.
"""

import math
from dataclasses import dataclass
from typing import Any

from tandem_feedback.domain.rubric import HIGHEST_SCORE, LOWEST_SCORE, Rubric

USUAL_OUTPUT_TOKENS = 700
# What English costs at least with any tokenizer; prompts tell the true figure when it is higher.
_MIN_TOKENS_PER_CHARACTER = 0.35
_TOKENS_OF_KEYS, _TOKENS_OF_CRITERION_KEYS, _TOKENS_OF_ITEM = 60, 30, 5
# Below this a judgement says nothing.
_MIN_ROOM_TOKENS = 400


@dataclass(frozen=True)
class Lengths:
    """The most that each part of an output may hold: characters of texts, and numbers of entries."""

    summary: int
    item: int
    items: int
    reason: int
    quote: int
    quotes: int


FULL = Lengths(summary=240, item=160, items=3, reason=160, quote=120, quotes=2)
SHORT = Lengths(summary=160, item=100, items=2, reason=90, quote=70, quotes=1)
BRIEF = Lengths(summary=100, item=60, items=1, reason=40, quote=0, quotes=0)
TERSE = Lengths(summary=60, item=40, items=1, reason=25, quote=0, quotes=0)
_BY_SIZE = (FULL, SHORT, BRIEF, TERSE)


def judgement_schema(rubric: Rubric, lengths: Lengths = FULL) -> dict[str, Any]:
    """Return the JSON Schema of a judgement by `rubric`."""
    criteria = {
        criterion.id: _object(
            {
                # Evidence, then reason, then score: a score written first is a guess that the rest defends.
                **({"evidence": _quotes(lengths)} if lengths.quotes else {}),
                "reason": _text(lengths.reason),
                "score": _score(criterion.lowest, criterion.highest),
            }
        )
        for criterion in rubric.scored_criteria
    }
    return _object(
        {
            **({"criteria": _object(criteria)} if criteria else {}),
            "summary": _text(lengths.summary),
            "strengths": _items(lengths),
            "improvements": _items(lengths),
            "score": _score(LOWEST_SCORE, HIGHEST_SCORE),
        }
    )


def combination_schema(rubric: Rubric, lengths: Lengths = FULL) -> dict[str, Any]:
    """Return the JSON Schema of the texts that combine judgements of parts; their scores follow by rule."""
    reasons = {criterion.id: _text(lengths.reason) for criterion in rubric.scored_criteria}
    return _object(
        {
            **({"reasons": _object(reasons)} if reasons else {}),
            "summary": _text(lengths.summary),
            "strengths": _items(lengths),
            "improvements": _items(lengths),
        }
    )


def most_tokens(rubric: Rubric, lengths: Lengths, *, tokens_per_character: float) -> int:
    """Estimate the longest judgement in tokens."""
    criterion = lengths.reason + lengths.quote * lengths.quotes
    criteria = len(rubric.scored_criteria)
    characters = lengths.summary + 2 * lengths.item * lengths.items + criterion * criteria
    keys = _TOKENS_OF_KEYS + criteria * _TOKENS_OF_CRITERION_KEYS + 2 * lengths.items * _TOKENS_OF_ITEM
    return keys + math.ceil(characters * max(tokens_per_character, _MIN_TOKENS_PER_CHARACTER))


def least_room(rubric: Rubric) -> int:
    """Return how many tokens a prompt must leave free for a judgement worth reading."""
    return max(_MIN_ROOM_TOKENS, most_tokens(rubric, BRIEF, tokens_per_character=0))


def lengths_for(rubric: Rubric, room: int, *, tokens_per_character: float) -> Lengths:
    """Return the longest lengths that fit into `room` tokens; the shortest ones when none does."""
    fitting = (
        lengths
        for lengths in _BY_SIZE
        if most_tokens(rubric, lengths, tokens_per_character=tokens_per_character) <= room
    )
    return next(fitting, TERSE)


def shorter_lengths_for(
    rubric: Rubric, room: int, *, cut_off: Lengths, tokens_per_character: float
) -> Lengths:
    """Return lengths that fit where output with the lengths `cut_off` did not."""
    shorter = _BY_SIZE[min(_BY_SIZE.index(cut_off) + 1, len(_BY_SIZE) - 1)]
    fitting = lengths_for(rubric, room, tokens_per_character=tokens_per_character)
    return max(shorter, fitting, key=_BY_SIZE.index)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _text(most_characters: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most_characters}


def _items(lengths: Lengths) -> dict[str, Any]:
    return {"type": "array", "items": _text(lengths.item), "minItems": 1, "maxItems": lengths.items}


def _quotes(lengths: Lengths) -> dict[str, Any]:
    # A criterion may rest on what was not said: then there is nothing to quote.
    return {"type": "array", "items": _text(lengths.quote), "minItems": 0, "maxItems": lengths.quotes}


def _score(lowest: int, highest: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": lowest, "maximum": highest}
