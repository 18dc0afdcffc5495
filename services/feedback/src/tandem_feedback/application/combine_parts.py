"""Makes one set of texts out of those on each part: one more call of the model, or a few when there are too many parts for one."""

from collections.abc import Sequence
from typing import Any

from tandem_feedback.application.fitting import Prompt
from tandem_feedback.application.metering import MeteredEngine
from tandem_feedback.application.writing import Writer
from tandem_feedback.domain.errors import TranscriptTooLongError
from tandem_feedback.domain.judging import Combination, Judgement, read_combination
from tandem_feedback.domain.output_shape import combination_schema, least_room
from tandem_feedback.domain.prompts import combining_prompt
from tandem_feedback.domain.rubric import Rubric


async def combine_texts(
    engine: MeteredEngine, writer: Writer, rubric: Rubric, judgements: Sequence[Judgement]
) -> Combination:
    """Return the texts on the whole conversation; those of a single judgement stay as they are.

    Raises:
        TranscriptTooLongError: not even the texts on two parts fit the window.
        OutputInvalidError: the output is out of shape, also after one repair.
    """
    return await _combine(engine, writer, rubric, [_texts(judgement) for judgement in judgements])


async def _combine(
    engine: MeteredEngine, writer: Writer, rubric: Rubric, texts: Sequence[Combination]
) -> Combination:
    if len(texts) == 1:
        return texts[0]
    messages = combining_prompt(rubric, [_shown(number, text) for number, text in enumerate(texts, 1)])
    size = await engine.measure(messages)
    if size.free_tokens >= least_room(rubric):
        return await writer.write(Prompt.of(messages, size), combination_schema, read_combination)
    if len(texts) == 2:
        raise TranscriptTooLongError(
            f"transcript: expected the texts on two parts to leave {least_room(rubric)} tokens of {engine.model}'s window, "
            f"got {size.free_tokens}; use a model with a larger window or a rubric that trims"
        )
    # Groups of more than one, or the tree would never get smaller.
    half = len(texts) // 2 + len(texts) % 2
    groups = [texts[:half], texts[half:]]
    return await _combine(
        engine, writer, rubric, [await _combine(engine, writer, rubric, group) for group in groups]
    )


def _texts(judgement: Judgement) -> Combination:
    return Combination(
        reasons={name: criterion.reason for name, criterion in judgement.criteria.items()},
        summary=judgement.summary,
        strengths=judgement.strengths,
        improvements=judgement.improvements,
    )


def _shown(number: int, text: Combination) -> dict[str, Any]:
    return {"part": number, **text.model_dump(mode="json", exclude_defaults=True)}
