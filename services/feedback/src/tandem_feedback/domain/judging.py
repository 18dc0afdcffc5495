"""Reads what the model wrote: only output in the rubric's shape becomes a judgement."""

from collections.abc import Iterable, Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from tandem_feedback.domain.errors import OutputInvalidError
from tandem_feedback.domain.rubric import HIGHEST_SCORE, LOWEST_SCORE, Rubric

# Far above every bound in the schema; only an engine that ignores the schema goes beyond.
_MAX_CHARACTERS, _MAX_ITEMS = 4000, 20
_Text = Annotated[str, StringConstraints(min_length=1, max_length=_MAX_CHARACTERS)]
_Items = Annotated[tuple[_Text, ...], Field(min_length=1, max_length=_MAX_ITEMS)]


class _Output(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CriterionJudgement(_Output):
    """What the model wrote on one criterion; its quotes are not checked yet."""

    evidence: Annotated[tuple[_Text, ...], Field(max_length=_MAX_ITEMS)] = ()
    reason: _Text
    score: int


class Judgement(_Output):
    """What the model is asked to write."""

    criteria: Mapping[str, CriterionJudgement] = {}
    score: int = Field(ge=LOWEST_SCORE, le=HIGHEST_SCORE)
    summary: _Text
    strengths: _Items
    improvements: _Items


class Combination(_Output):
    """The texts that stand for several parts."""

    reasons: Mapping[str, _Text] = {}
    summary: _Text
    strengths: _Items
    improvements: _Items


_Wanted = TypeVar("_Wanted", Judgement, Combination)


def read_judgement(rubric: Rubric, text: str, *, truncated: bool) -> Judgement:
    """Read the model's judgement.

    Raises:
        OutputInvalidError: cut off at the token limit, no JSON, or not in the rubric's shape.
    """
    judgement = _read(Judgement, text, truncated=truncated)
    _require_criteria(rubric, judgement.criteria)
    for criterion in rubric.scored_criteria:
        score = judgement.criteria[criterion.id].score
        if not criterion.lowest <= score <= criterion.highest:
            raise OutputInvalidError(
                f"the model's output does not keep to the rubric: criteria.{criterion.id}.score: "
                f"expected {criterion.lowest} to {criterion.highest}, got {score}"
            )
    reasons = (criterion.reason for criterion in judgement.criteria.values())
    _require_words((judgement.summary, *judgement.strengths, *judgement.improvements, *reasons))
    return judgement


def read_combination(rubric: Rubric, text: str, *, truncated: bool) -> Combination:
    """Read the texts on all parts; raises as `read_judgement` does."""
    combination = _read(Combination, text, truncated=truncated)
    _require_criteria(rubric, combination.reasons)
    texts = (combination.summary, *combination.strengths, *combination.improvements)
    _require_words((*texts, *combination.reasons.values()))
    return combination


def _read(model: type[_Wanted], text: str, *, truncated: bool) -> _Wanted:
    if truncated:
        raise OutputInvalidError("the model's output was cut off at its token limit")
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "output"
        raise OutputInvalidError(
            f"the model's output does not keep to the rubric: {where}: {first['msg']}"
        ) from error


def _require_criteria(rubric: Rubric, found: Mapping[str, object]) -> None:
    expected = {criterion.id for criterion in rubric.scored_criteria}
    if found.keys() != expected:
        raise OutputInvalidError(
            "the model's output does not keep to the rubric: expected the criteria "
            f"{', '.join(sorted(expected)) or 'none'}; got {len(found)}"
        )


def _require_words(texts: Iterable[str]) -> None:
    if any(not text.strip() or "\x00" in text for text in texts):
        raise OutputInvalidError("the model's output holds empty or unprintable text")
