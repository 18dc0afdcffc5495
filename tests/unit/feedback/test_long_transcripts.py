"""A conversation longer than the window is judged in parts where the rubric allows it, and combined the same way every time."""

import json
from typing import Any

import pytest

from tandem_contracts.feedback import FeedbackRequestedV1, Turn
from tandem_feedback.application.judge import Judge
from tandem_feedback.domain.combining import mean_score
from tandem_feedback.domain.errors import TranscriptTooLongError
from tandem_feedback.domain.rubric import LongTranscripts, Rubric, Rubrics, ScoredCriterion
from tests.support.fake_engine import FakeEngine
from tests.support.feedback_builders import a_request

RUBRIC = Rubric(
    "general",
    1,
    "General",
    "Judge.",
    scored_criteria=(ScoredCriterion("truth", "Truth", "It is true.", {1: "no", 5: "yes"}),),
    long_transcripts=LongTranscripts.MAP_REDUCE,
)


def request_of(*sizes: int, **changes: Any) -> FeedbackRequestedV1:
    turns = [
        Turn(role="user" if n % 2 == 0 else "assistant", content=f"turn{n} " + "word " * (size - 1))
        for n, size in enumerate(sizes)
    ]
    return a_request(transcript=tuple(turns), **changes)


def shown_turns(asked: dict[str, Any]) -> list[str]:
    lines = asked["messages"][-1]["content"].splitlines()
    return [json.loads(line)["content"].split()[0] for line in lines if line.startswith('{"role"')]


class Reviewer:
    """Judges each part by its first turn: score 5 for the part that begins the conversation, 2 for any other."""

    def __init__(self, *, words: int = 1) -> None:
        self.words = words

    def __call__(self, asked: dict[str, Any]) -> dict[str, Any]:
        texts = {"summary": "s " * self.words, "strengths": ["good"], "improvements": ["better"]}
        if "score" not in asked["schema"]["properties"]:
            return {**texts, "summary": "all", "reasons": {"truth": "on the whole"}}
        turns = shown_turns(asked)
        score = 5 if turns[0] == "turn0" else 2
        quotes = [turns[0], "never said"]
        criterion = {"evidence": quotes, "reason": f"because of {turns[0]}", "score": score}
        return {"criteria": {"truth": criterion}, **texts, "score": score}


def judge(engine: FakeEngine, rubric: Rubric = RUBRIC) -> Judge:
    return Judge(engine, Rubrics([rubric]), "model")


async def test_parts_hold_every_turn_once_and_in_order() -> None:
    engine = FakeEngine(window=1000, write=Reviewer())
    result = await judge(engine).judge(request_of(*[100] * 20))
    *parts, _combining = engine.asked
    assert [turn for part in parts for turn in shown_turns(part)] == [f"turn{n}" for n in range(20)]
    assert len(parts) == result.parts > 1
    assert (result.omitted_turns, result.note) == (
        0,
        f"Judged in {len(parts)} parts, which are then combined.",
    )
    for asked in engine.asked:
        words = sum(len(message["content"].split()) for message in asked["messages"])
        assert words + asked["max_tokens"] <= engine.window


async def test_scores_are_the_mean_by_length_and_texts_are_written_by_one_more_call() -> None:
    engine = FakeEngine(window=1000, write=Reviewer())
    result = await judge(engine).judge(request_of(300, 500))
    assert result.parts == 2
    # 5 for 300 words, 2 for 500: 3.1, where the parts' plain mean would be 3.5.
    assert (result.score, result.criteria[0].score) == (3, 3)
    assert (result.summary, result.criteria[0].reason) == ("all", "on the whole")
    assert [evidence.quote for evidence in result.criteria[0].evidence] == ["turn0", "turn1"]
    assert [evidence.turn for evidence in result.criteria[0].evidence] == [0, 1]
    assert result.evidence_dropped == 2
    assert result.usage.prompt_tokens == 100 * len(engine.asked) == 300


async def test_same_request_gives_the_same_result_and_the_same_calls() -> None:
    request = request_of(*[100] * 20)
    engines = [FakeEngine(window=1000, write=Reviewer()) for _ in range(2)]
    first, second = [await judge(engine).judge(request) for engine in engines]
    salts = [{asked.pop("cache_salt") for asked in engine.asked} for engine in engines]
    assert [len(each) for each in salts] == [1, 1]
    assert salts[0] != salts[1], (
        "what the engine has cached of an earlier judgement changes the next one's sums"
    )
    assert engines[0].asked == engines[1].asked
    assert first.model_copy(update={"timings": None}) == second.model_copy(update={"timings": None})


async def test_texts_on_many_parts_are_combined_in_several_steps() -> None:
    engine = FakeEngine(window=600, write=Reviewer(words=30))
    result = await judge(engine).judge(request_of(*[100] * 12))
    combining = [asked for asked in engine.asked if "score" not in asked["schema"]["properties"]]
    assert result.parts > 4
    assert len(combining) > 1
    assert result.summary == "all"


async def test_turn_that_fits_no_part_is_left_out_and_told() -> None:
    engine = FakeEngine(window=1000, write=Reviewer())
    result = await judge(engine).judge(request_of(100, 2000, 100))
    assert (result.parts, result.omitted_turns) == (2, 1)
    assert result.note is not None
    assert result.note.startswith("1 of 3 messages are left out")


async def test_nothing_is_generated_when_no_turn_fits() -> None:
    engine = FakeEngine(window=1000, write=Reviewer())
    with pytest.raises(TranscriptTooLongError):
        await judge(engine).judge(request_of(2000, 2000))
    assert engine.asked == []


async def test_conversation_that_fits_is_judged_whole() -> None:
    engine = FakeEngine(window=1000, write=Reviewer())
    result = await judge(engine).judge(request_of(100, 100))
    assert (len(engine.asked), result.parts, result.note) == (1, 1, None)


@pytest.mark.parametrize(
    ("scores", "weights", "expected"),
    [([4], [7], 4), ([1, 2], [1, 1], 2), ([2, 3], [3, 2], 2), ([5, 1, 1], [2, 1, 1], 3), ([4, 5], [1, 2], 5)],
)
def test_mean_is_rounded_half_up(scores: list[int], weights: list[int], expected: int) -> None:
    assert mean_score(scores, weights) == expected
