"""The judge fits the transcript to the window, repairs one bad output, and stamps the result with what made it."""

import pytest

from tandem_contracts.feedback import FeedbackRequestedV1, RubricRef, TokenUsage, Turn
from tandem_feedback.application.judge import Judge
from tandem_feedback.application.ports import Generation
from tandem_feedback.domain.errors import (
    EngineUnavailableError,
    OutputInvalidError,
    TranscriptTooLongError,
    UnknownRubricError,
)
from tandem_feedback.domain.rubric import Rubric, Rubrics
from tests.support.fake_engine import FakeEngine, generation
from tests.support.feedback_builders import a_request

RUBRICS = Rubrics([Rubric("general", 3, "General", "Judge.", ("Clarity",))])


def judge(engine: FakeEngine) -> Judge:
    return Judge(engine, RUBRICS, "default-model")


def long_request(turns: int, *, words: int = 100, **changes: object) -> FeedbackRequestedV1:
    transcript = tuple(Turn(role="user", content=f"turn{n} " + "word " * (words - 1)) for n in range(turns))
    return a_request(transcript=transcript, **changes)


async def test_result_is_stamped_with_rubric_model_seed_and_cost() -> None:
    result = await judge(FakeEngine()).judge(a_request(model="judge-lora", seed=7))
    assert (result.score, result.rubric, result.model, result.seed) == (
        4,
        RubricRef(id="general", version=3),
        "judge-lora",
        7,
    )
    assert (result.omitted_turns, result.usage) == (0, TokenUsage(prompt_tokens=100, completion_tokens=20))


async def test_defaults_are_told_in_the_result_when_the_request_names_nothing() -> None:
    result = await judge(FakeEngine()).judge(a_request())
    assert (result.model, result.seed) == ("default-model", 0)


async def test_output_is_guided_by_the_rubrics_schema_and_bounded() -> None:
    engine = FakeEngine()
    await judge(engine).judge(a_request())
    (asked,) = engine.asked
    assert asked["schema"] == RUBRICS.find(RubricRef()).output_schema()
    assert 0 < asked["max_tokens"] <= 700
    assert asked["temperature"] == 0


async def test_oldest_turns_are_left_out_until_the_rest_fits() -> None:
    engine = FakeEngine(window=1000)
    result = await judge(engine).judge(long_request(20))
    (asked,) = engine.asked
    prompt = asked["messages"][-1]["content"]
    assert 0 < result.omitted_turns < 20
    assert f"turn{result.omitted_turns} " in prompt
    assert f"turn{result.omitted_turns - 1} " not in prompt
    assert "turn19 " in prompt
    words = sum(len(message["content"].split()) for message in asked["messages"])
    assert words + asked["max_tokens"] <= engine.window


async def test_turns_left_out_by_the_requester_are_counted_in() -> None:
    result = await judge(FakeEngine(window=1000)).judge(long_request(20, earlier_turns_omitted=5))
    assert result.omitted_turns > 5
    untrimmed = await judge(FakeEngine()).judge(a_request(earlier_turns_omitted=5))
    assert untrimmed.omitted_turns == 5


async def test_nothing_is_generated_when_not_even_the_last_turn_fits() -> None:
    engine = FakeEngine(window=1000)
    with pytest.raises(TranscriptTooLongError, match="shorter last turn"):
        await judge(engine).judge(long_request(2, words=900))
    assert engine.asked == []


async def test_bad_output_is_repaired_once_in_another_way_and_both_tries_are_paid() -> None:
    engine = FakeEngine(acts=[generation("no json")])
    result = await judge(engine).judge(a_request(seed=7))
    first, second = engine.asked
    assert second["seed"] != first["seed"]
    assert second["temperature"] > first["temperature"]
    assert second["messages"] == first["messages"]
    assert result.usage == TokenUsage(prompt_tokens=200, completion_tokens=40)


@pytest.mark.parametrize("bad", [generation("no json"), generation(truncated=True)])
async def test_second_bad_output_is_final(bad: Generation) -> None:
    engine = FakeEngine(acts=[bad, bad])
    with pytest.raises(OutputInvalidError):
        await judge(engine).judge(a_request())
    assert len(engine.asked) == 2


async def test_absent_engine_is_passed_on_as_such() -> None:
    engine = FakeEngine(acts=[EngineUnavailableError("full")])
    with pytest.raises(EngineUnavailableError):
        await judge(engine).judge(a_request())


async def test_engine_is_not_asked_when_the_rubric_is_unknown() -> None:
    engine = FakeEngine()
    with pytest.raises(UnknownRubricError):
        await judge(engine).judge(a_request(rubric=RubricRef(id="poetry")))
    assert engine.asked == []
