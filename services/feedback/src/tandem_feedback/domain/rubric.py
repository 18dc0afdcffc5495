"""Rubrics: what to judge a conversation by, and which shape the judgement has.

Rubrics are files; the newest version of an id is the one used when a request names none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tandem_contracts.feedback import RubricRef
from tandem_feedback.domain.errors import UnknownRubricError

# Bounds on text and lists keep a small model from running on: they become part of the grammar it must follow.
_TEXT = {"type": "string", "minLength": 1, "maxLength": 240}
_ITEMS = {
    "type": "array",
    "items": {"type": "string", "minLength": 1, "maxLength": 160},
    "minItems": 1,
    "maxItems": 3,
}
MAX_OUTPUT_TOKENS = 700


@dataclass(frozen=True)
class Rubric:
    """One version of a rubric; `instructions` go to the model as they are."""

    id: str
    version: int
    title: str
    instructions: str
    criteria: tuple[str, ...]

    @property
    def ref(self) -> RubricRef:
        """Identify this rubric in a result."""
        return RubricRef(id=self.id, version=self.version)

    def output_schema(self) -> dict[str, Any]:
        """Return the JSON Schema that guides the model's output."""
        return {
            "type": "object",
            "properties": {
                # Reasons first: a score written before them is a guess that they then defend.
                "summary": _TEXT,
                "strengths": _ITEMS,
                "improvements": _ITEMS,
                "score": {"type": "integer", "minimum": 1, "maximum": 5},
            },
            "required": ["summary", "strengths", "improvements", "score"],
            "additionalProperties": False,
        }


class Rubrics:
    """The rubrics that this worker knows."""

    def __init__(self, rubrics: Sequence[Rubric]) -> None:
        self._by_version = {(rubric.id, rubric.version): rubric for rubric in rubrics}

    def find(self, wanted: RubricRef) -> Rubric:
        """Return the wanted version, or the newest one of that id. Raises UnknownRubricError."""
        versions = [version for (rubric_id, version) in self._by_version if rubric_id == wanted.id]
        version = wanted.version if wanted.version is not None else max(versions, default=0)
        found = self._by_version.get((wanted.id, version))
        if found is None:
            known = ", ".join(f"{rubric_id} v{number}" for rubric_id, number in sorted(self._by_version))
            raise UnknownRubricError(
                f"rubric: expected one of {known}; got {wanted.id} v{wanted.version or '?'}"
            )
        return found
