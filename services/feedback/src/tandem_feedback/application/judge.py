"""Judges one transcript: fits it to the window, has each part judged, checks the evidence, combines, and stamps the result.

The writing of guided JSON and its repair are `writing`'s, the cutting to size `fitting`'s.
"""

import hashlib
from collections.abc import Sequence

from tandem_contracts.feedback import CriterionResult, FeedbackRequestedV1, FeedbackResult
from tandem_feedback.application.combine_parts import combine_texts
from tandem_feedback.application.fitting import Fitting, Part
from tandem_feedback.application.metering import MeteredEngine
from tandem_feedback.application.ports import Engine
from tandem_feedback.application.writing import Writer
from tandem_feedback.domain.combining import (
    JudgedPart,
    criterion_evidence,
    criterion_scores,
    overall_score,
)
from tandem_feedback.domain.evidence import Transcript
from tandem_feedback.domain.judging import Combination, read_judgement
from tandem_feedback.domain.output_shape import judgement_schema
from tandem_feedback.domain.rubric import Rubric, Rubrics


class Judge:
    """The use case of judging; keeps nothing between calls, and gives the same answer for the same seed."""

    def __init__(self, engine: Engine, rubrics: Rubrics, default_model: str) -> None:
        self._engine = engine
        self._rubrics = rubrics
        self._default_model = default_model

    async def judge(self, request: FeedbackRequestedV1) -> FeedbackResult:
        """Return the result of `request`.

        Raises:
            FeedbackFailure: it can never be judged; the class tells why.
            EngineUnavailableError: not now.
        """
        rubric = self._rubrics.find(request.rubric)
        engine = MeteredEngine(self._engine, request.model or self._default_model)
        served = await self._engine.identify(engine.model)
        seed = request.seed if request.seed is not None else derived_seed(request.request_id)
        writer = Writer(engine, rubric, seed)

        fitted = await Fitting(engine, rubric, request).fit()
        judged = [await _judge_part(writer, rubric, part) for part in fitted.parts]
        texts = await combine_texts(engine, writer, rubric, [part.judgement for part, _ in judged])
        parts = [part for part, _ in judged]
        return FeedbackResult(
            score=overall_score(parts),
            summary=texts.summary,
            strengths=texts.strengths,
            improvements=texts.improvements,
            rubric=rubric.ref,
            model=served.model,
            adapter=served.adapter,
            seed=seed,
            omitted_turns=fitted.omitted_turns,
            usage=engine.usage,
            criteria=_criteria(rubric, parts, texts),
            evidence_dropped=sum(dropped for _, dropped in judged),
            note=fitted.note,
            parts=len(fitted.parts),
            repairs=writer.repairs,
            truncations=writer.truncations,
            timings=engine.timings,
        )


def derived_seed(request_id: str) -> int:
    """Return the seed of a request that names none: the same for the same id, in every process and release."""
    return int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:4]) % 2**31


async def _judge_part(writer: Writer, rubric: Rubric, part: Part) -> tuple[JudgedPart, int]:
    """Return the part's judgement with its true quotes, and how many quotes were false."""
    judgement = await writer.write(part.prompt, judgement_schema, read_judgement)
    transcript = Transcript(part.turns, first=part.first)
    checked = {name: transcript.keep_true(c.evidence) for name, c in judgement.criteria.items()}
    weight = sum(len(turn.content) for turn in part.turns)
    evidence = {name: kept for name, (kept, _) in checked.items()}
    return JudgedPart(judgement, weight, evidence), sum(dropped for _, dropped in checked.values())


def _criteria(rubric: Rubric, parts: Sequence[JudgedPart], texts: Combination) -> tuple[CriterionResult, ...]:
    scores = criterion_scores(rubric, parts)
    evidence = criterion_evidence(rubric, parts)
    return tuple(
        CriterionResult(
            id=criterion.id,
            title=criterion.title,
            score=scores[criterion.id],
            lowest=criterion.lowest,
            highest=criterion.highest,
            reason=texts.reasons[criterion.id],
            evidence=evidence[criterion.id],
        )
        for criterion in rubric.scored_criteria
    )
