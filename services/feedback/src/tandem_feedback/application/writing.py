"""Has the engine write guided JSON and reads it, with one repair for output that was cut off or is out of shape."""

import logging
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from opentelemetry import metrics

from tandem_feedback.application.fitting import Prompt
from tandem_feedback.application.metering import MeteredEngine
from tandem_feedback.application.ports import Generation
from tandem_feedback.domain.errors import OutputInvalidError
from tandem_feedback.domain.output_shape import (
    USUAL_OUTPUT_TOKENS,
    Lengths,
    lengths_for,
    most_tokens,
    shorter_lengths_for,
)
from tandem_feedback.domain.rubric import Rubric
from tandem_telemetry import names

logger = logging.getLogger(__name__)
_generations = metrics.get_meter(__name__).create_counter(
    names.FEEDBACK_GENERATION, "{generation}", "Generations by outcome"
)

_REPAIR_TEMPERATURE = 0.7
_Read_co = TypeVar("_Read_co", covariant=True)


class Reader(Protocol[_Read_co]):
    """Reads an output or raises OutputInvalidError."""

    def __call__(self, rubric: Rubric, text: str, *, truncated: bool) -> _Read_co: ...


class Writer:
    """Writes for one judgement; the same seed gives the same texts."""

    def __init__(self, engine: MeteredEngine, rubric: Rubric, seed: int) -> None:
        self._engine = engine
        self._rubric = rubric
        self._seed = seed
        self.repairs = self.truncations = 0

    async def write(
        self, prompt: Prompt, schema: Callable[[Rubric, Lengths], dict[str, Any]], read: Reader[_Read_co]
    ) -> _Read_co:
        """Return what `read` makes of the output; raises OutputInvalidError when the repaired one is no better."""
        lengths = lengths_for(self._rubric, prompt.room, tokens_per_character=prompt.tokens_per_character)
        longest = most_tokens(self._rubric, lengths, tokens_per_character=prompt.tokens_per_character)
        first = await self._generate(
            prompt,
            schema(self._rubric, lengths),
            max_tokens=min(prompt.room, max(USUAL_OUTPUT_TOKENS, longest)),
            seed=self._seed,
            temperature=0.0,
        )
        try:
            found = read(self._rubric, first.text, truncated=first.truncated)
        except OutputInvalidError as error:
            logger.info("judgement.repairing", extra={"error": str(error)})
            self.repairs += 1
            self.truncations += first.truncated
            _generations.add(1, {names.OUTCOME: "repaired"})
        else:
            _generations.add(1, {names.OUTCOME: "valid"})
            return found
        # Greedy decoding would only repeat itself; another temperature and seed leave the rut.
        second = await self._generate(
            prompt,
            schema(self._rubric, self._repaired(lengths, prompt, first)),
            max_tokens=prompt.room,
            seed=self._seed + 1,
            temperature=_REPAIR_TEMPERATURE,
        )
        return read(self._rubric, second.text, truncated=second.truncated)

    def _repaired(self, lengths: Lengths, prompt: Prompt, first: Generation) -> Lengths:
        """What was cut off gets all the room there is, and less to say in it, as what it wrote has shown to be dear."""
        if not first.truncated:
            return lengths
        dear = first.completion_tokens / max(len(first.text), 1)
        return shorter_lengths_for(
            self._rubric,
            prompt.room,
            cut_off=lengths,
            tokens_per_character=max(dear, prompt.tokens_per_character),
        )

    async def _generate(self, prompt: Prompt, schema: dict[str, Any], **options: Any) -> Generation:
        return await self._engine.generate(prompt.messages, schema=schema, **options)
