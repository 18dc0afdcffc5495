"""Rubrics: what to judge a conversation by, in which language, and what to do when it is long.

Rubrics are files, read by `adapters.rubric_files`; the shape of a judgement follows from the rubric in `output_shape`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from tandem_contracts.feedback import RubricRef
from tandem_feedback.domain.errors import UnknownRubricError

LOWEST_SCORE, HIGHEST_SCORE = 1, 5


class RubricFileError(ValueError):
    """A rubric file cannot be used; the text names the file, the field, and what to do."""


class LongTranscripts(StrEnum):
    """What to do with a transcript that does not fit the model's window."""

    TRIM = "trim"
    """Leave out the oldest turns."""
    MAP_REDUCE = "map_reduce"
    """Judge it in parts and combine their judgements."""


@dataclass(frozen=True)
class ScoredCriterion:
    """A criterion with a score of its own.

    `scale` tells what scores mean; its lowest and highest key are the bounds, and those between may be left out. The
    model is told the `weight` for its overall score.
    """

    id: str
    title: str
    description: str
    scale: Mapping[int, str]
    weight: float = 1.0

    @property
    def lowest(self) -> int:
        return min(self.scale)

    @property
    def highest(self) -> int:
        return max(self.scale)


@dataclass(frozen=True)
class Rubric:
    """One version of a rubric; `instructions` go to the model as they are.

    `criteria` are judged as a whole, `scored_criteria` one by one; a rubric has one kind or the other. Without a
    `language` the model is left to what the instructions say.
    """

    id: str
    version: int
    title: str
    instructions: str
    criteria: tuple[str, ...] = ()
    scored_criteria: tuple[ScoredCriterion, ...] = ()
    language: Literal["en", "ko"] | None = None
    long_transcripts: LongTranscripts = LongTranscripts.TRIM

    @property
    def ref(self) -> RubricRef:
        """Identify this rubric in a result."""
        return RubricRef(id=self.id, version=self.version)


class Rubrics:
    """The rubrics that this worker knows."""

    def __init__(self, rubrics: Sequence[Rubric]) -> None:
        self._by_version = {(rubric.id, rubric.version): rubric for rubric in rubrics}

    def all(self) -> list[Rubric]:
        """Return every version of every rubric, by id and version."""
        return [self._by_version[key] for key in sorted(self._by_version)]

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
