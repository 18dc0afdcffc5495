"""Says in plain words what pydantic found wrong with one field, for every face alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LIMITS = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}
_FIXED = {
    "extra_forbidden": "no such field; GET / shows the fields there are",
    "missing": "is required",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number that is not infinite",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "string_type": "must be text",
    "string_unicode": "must be text that is valid Unicode",
}


def in_words(error: Mapping[str, Any]) -> str:
    """One of `ValidationError.errors()`, without its field; of what came at most 40 characters are repeated."""
    kind, context = str(error.get("type")), error.get("ctx") or {}
    for name, words in _LIMITS.items():
        if name in context:
            return f"must be {words} {_number(context[name])}; got {error.get('input')!r:.40}"
    if kind in _FIXED:
        return _FIXED[kind]
    things = "characters" if kind.startswith("string") else "entries"
    if kind.endswith("too_short"):
        least = context["min_length"]
        return "must not be empty" if least == 1 else f"must have at least {least} {things}"
    if kind.endswith("too_long"):
        return f"must have at most {context['max_length']} {things}"
    return (
        str(error.get("msg", "is invalid"))
        .removeprefix("Value error, ")
        .replace("Input should be", "must be")
    )


def _number(limit: object) -> str:
    return str(int(limit)) if isinstance(limit, float) and limit.is_integer() else str(limit)
