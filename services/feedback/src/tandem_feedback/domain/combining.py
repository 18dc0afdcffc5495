"""Combines the judgements of a conversation's parts by rule: scores by weighted mean, evidence in order. Texts need the model."""

from collections.abc import Sequence
from dataclasses import dataclass

from tandem_contracts.feedback import Evidence
from tandem_feedback.domain.judging import Judgement
from tandem_feedback.domain.rubric import Rubric

_MAX_EVIDENCE = 3


@dataclass(frozen=True)
class JudgedPart:
    """The judgement of one part; `weight` is its share of the conversation, in characters."""

    judgement: Judgement
    weight: int
    evidence: dict[str, tuple[Evidence, ...]]


def mean_score(scores: Sequence[int], weights: Sequence[int]) -> int:
    """Return the weighted mean, rounded half up, in whole numbers all the way."""
    total = sum(weights)
    weighted = sum(score * weight for score, weight in zip(scores, weights, strict=True))
    return (2 * weighted + total) // (2 * total)


def overall_score(parts: Sequence[JudgedPart]) -> int:
    """Return the score of the whole conversation."""
    return mean_score([part.judgement.score for part in parts], [part.weight for part in parts])


def criterion_scores(rubric: Rubric, parts: Sequence[JudgedPart]) -> dict[str, int]:
    """Return the score of each criterion over all parts."""
    weights = [part.weight for part in parts]
    return {
        criterion.id: mean_score([part.judgement.criteria[criterion.id].score for part in parts], weights)
        for criterion in rubric.scored_criteria
    }


def criterion_evidence(rubric: Rubric, parts: Sequence[JudgedPart]) -> dict[str, tuple[Evidence, ...]]:
    """Return the first few quotes of each criterion, in the conversation's order and each once."""
    found = {}
    for criterion in rubric.scored_criteria:
        quotes = dict.fromkeys(quote for part in parts for quote in part.evidence.get(criterion.id, ()))
        found[criterion.id] = tuple(quotes)[:_MAX_EVIDENCE]
    return found
