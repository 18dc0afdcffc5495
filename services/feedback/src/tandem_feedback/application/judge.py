"""Has one transcript judged by the engine: trims it to the window, generates guided JSON, repairs it once."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from opentelemetry import metrics

from tandem_contracts.feedback import FeedbackRequestedV1, FeedbackResult, TokenUsage, Turn
from tandem_feedback.application.ports import Engine, Generation
from tandem_feedback.domain.errors import OutputInvalidError, TranscriptTooLongError
from tandem_feedback.domain.judging import Judgement, judging_prompt, read_judgement
from tandem_feedback.domain.rubric import MAX_OUTPUT_TOKENS, Rubric, Rubrics
from tandem_telemetry import names

logger = logging.getLogger(__name__)
_generations = metrics.get_meter(__name__).create_counter(
    names.FEEDBACK_GENERATION, "{generation}", "Generations by outcome"
)

# Leaves a judgement of useful length when the window is small.
_MIN_OUTPUT_TOKENS = 400
_REPAIR_TEMPERATURE = 0.7


@dataclass(frozen=True)
class _Prompt:
    messages: list[dict[str, str]]
    omitted_turns: int
    max_tokens: int


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
        model = request.model or self._default_model
        seed = request.seed if request.seed is not None else 0
        prompt = await self._fit(model, rubric, request)
        judgement, usage = await self._generate(model, rubric, prompt, seed)
        return FeedbackResult(
            score=judgement.score,
            summary=judgement.summary,
            strengths=judgement.strengths,
            improvements=judgement.improvements,
            rubric=rubric.ref,
            model=model,
            seed=seed,
            omitted_turns=request.earlier_turns_omitted + prompt.omitted_turns,
            usage=usage,
        )

    async def _fit(self, model: str, rubric: Rubric, request: FeedbackRequestedV1) -> _Prompt:
        """Leave out the oldest turns until prompt and output fit the window."""
        transcript: Sequence[Turn] = request.transcript
        omitted = 0
        while True:
            shown = transcript[omitted:]
            messages = judging_prompt(rubric, shown, omitted_turns=request.earlier_turns_omitted + omitted)
            free = await self._engine.free_tokens(model, messages)
            if free >= _MIN_OUTPUT_TOKENS:
                return _Prompt(messages, omitted, min(free, MAX_OUTPUT_TOKENS))
            if len(shown) == 1:
                raise TranscriptTooLongError(
                    f"transcript: expected the last turn to leave {_MIN_OUTPUT_TOKENS} tokens of {model}'s window, "
                    f"got {free}; ask with a shorter last turn or a model with a larger window"
                )
            # Halving finds a fit in few counts.
            omitted += max(1, len(shown) // 2)

    async def _generate(
        self, model: str, rubric: Rubric, prompt: _Prompt, seed: int
    ) -> tuple[Judgement, TokenUsage]:
        first = await self._try(model, rubric, prompt, seed=seed, temperature=0.0)
        try:
            judgement = read_judgement(first.text, truncated=first.truncated)
        except OutputInvalidError as error:
            _generations.add(1, {names.OUTCOME: "repaired"})
            logger.info("judgement.repairing", extra={"error": str(error)})
        else:
            _generations.add(1, {names.OUTCOME: "valid"})
            return judgement, _usage(first)
        # Greedy decoding would only repeat itself; another temperature and seed leave the rut.
        second = await self._try(model, rubric, prompt, seed=seed + 1, temperature=_REPAIR_TEMPERATURE)
        return read_judgement(second.text, truncated=second.truncated), _usage(first, second)

    async def _try(
        self, model: str, rubric: Rubric, prompt: _Prompt, *, seed: int, temperature: float
    ) -> Generation:
        return await self._engine.generate(
            model,
            prompt.messages,
            schema=rubric.output_schema(),
            max_tokens=prompt.max_tokens,
            seed=seed,
            temperature=temperature,
        )


def _usage(*generations: Generation) -> TokenUsage:
    return TokenUsage(
        prompt_tokens=sum(generation.prompt_tokens for generation in generations),
        completion_tokens=sum(generation.completion_tokens for generation in generations),
    )
