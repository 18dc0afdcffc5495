"""Fits a transcript to the model's window at turn boundaries: whole, without its oldest turns, or in parts.

Sizes are the engine's own, counted on the very prompt that will be sent.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tandem_contracts.feedback import FeedbackRequestedV1, Turn
from tandem_feedback.application.metering import MeteredEngine
from tandem_feedback.application.ports import ChatMessages, PromptSize
from tandem_feedback.domain.errors import TranscriptTooLongError
from tandem_feedback.domain.output_shape import least_room
from tandem_feedback.domain.prompts import judging_prompt, omission_note
from tandem_feedback.domain.rubric import LongTranscripts, Rubric


@dataclass(frozen=True)
class Prompt:
    """Messages that fit, with the room that they leave and what a character of theirs costs."""

    messages: ChatMessages
    room: int
    tokens_per_character: float

    @classmethod
    def of(cls, messages: ChatMessages, size: PromptSize) -> "Prompt":
        characters = sum(len(message["content"]) for message in messages)
        return cls(messages, size.free_tokens, size.prompt_tokens / max(characters, 1))


@dataclass(frozen=True)
class Part:
    """Turns that are judged together; `first` is the place of the first one in the transcript."""

    first: int
    turns: tuple[Turn, ...]
    prompt: Prompt


@dataclass(frozen=True)
class Fitted:
    """A transcript in as many parts as it needs, and what was left out of it."""

    parts: tuple[Part, ...]
    omitted_turns: int
    note: str | None


class Fitting:
    """Fits the transcript of one request."""

    def __init__(self, engine: MeteredEngine, rubric: Rubric, request: FeedbackRequestedV1) -> None:
        self._engine = engine
        self._rubric = rubric
        self._turns = request.transcript
        self._earlier = request.earlier_turns_omitted
        self._total = self._earlier + len(self._turns)
        self._least_room = least_room(rubric)

    async def fit(self) -> Fitted:
        """Return the transcript fitted as the rubric wants it.

        Raises:
            TranscriptTooLongError: not even one turn fits.
        """
        whole = await self._try(0, len(self._turns), omission_note(self._earlier, self._total))
        if whole:
            return self._fitted([whole], self._earlier)
        if self._rubric.long_transcripts is LongTranscripts.MAP_REDUCE:
            return await self._in_parts()
        return await self._newest_turns()

    async def _newest_turns(self) -> Fitted:
        async def newest(count: int) -> Part | None:
            first = len(self._turns) - count
            return await self._try(first, len(self._turns), omission_note(self._earlier + first, self._total))

        part = await _largest(newest, len(self._turns) - 1)
        if part is None:
            raise await self._too_long(len(self._turns) - 1)
        return self._fitted([part], self._earlier + part.first)

    async def _in_parts(self) -> Fitted:
        parts: list[Part] = []
        first = skipped = 0
        while first < len(self._turns):
            part = await self._longest_part(first)
            if part is None:
                skipped += 1
            else:
                parts.append(part)
            first += len(part.turns) if part else 1
        if not parts:
            raise await self._too_long(len(self._turns) - 1)
        return self._fitted(parts, self._earlier + skipped)

    async def _longest_part(self, first: int) -> Part | None:
        async def of_length(count: int) -> Part | None:
            end = first + count
            places = f"{self._earlier + first + 1} to {self._earlier + end}"
            return await self._try(
                first, end, f"These are messages {places} of {self._total}, one part of the conversation."
            )

        return await _largest(of_length, len(self._turns) - first)

    async def _try(self, first: int, end: int, note: str | None) -> Part | None:
        turns = self._turns[first:end]
        messages = judging_prompt(self._rubric, turns, note=note)
        size = await self._engine.measure(messages)
        if size.free_tokens < self._least_room:
            return None
        return Part(first, turns, Prompt.of(messages, size))

    def _fitted(self, parts: list[Part], omitted: int) -> Fitted:
        notes = []
        if omitted:
            notes.append(
                f"{omitted} of {self._total} messages are left out: they do not fit the model's window."
            )
        if len(parts) > 1:
            notes.append(f"Judged in {len(parts)} parts, which are then combined.")
        return Fitted(tuple(parts), omitted, " ".join(notes) or None)

    async def _too_long(self, turn: int) -> TranscriptTooLongError:
        size = await self._engine.measure(judging_prompt(self._rubric, self._turns[turn:]))
        return TranscriptTooLongError(
            f"transcript: expected the last turn to leave {self._least_room} tokens of {self._engine.model}'s window, "
            f"got {size.free_tokens}; ask with a shorter last turn, a shorter rubric or a model with a larger window"
        )


async def _largest(fits: Callable[[int], Awaitable[Part | None]], most: int) -> Part | None:
    """Return the part with the most turns, up to `most`, that fits; more turns never fit where fewer do not."""
    best, low, high = None, 0, 1
    while low < min(high, most) and (part := await fits(min(high, most))):
        best, low, high = part, min(high, most), high * 2
    high = min(high, most)
    while high - low > 1:
        middle = (low + high) // 2
        if part := await fits(middle):
            best, low = part, middle
        else:
            high = middle
    return best
