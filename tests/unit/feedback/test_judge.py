"""The judge fits the transcript to the window, repairs one bad output, and stamps the result with what made it."""

import json

import pytest

from tandem_contracts.feedback import Evidence, FeedbackRequestedV1, RubricRef, TokenUsage, Turn
from tandem_feedback.application.judge import Judge
from tandem_feedback.application.ports import Generation
from tandem_feedback.domain.errors import (
    EngineUnavailableError,
    OutputInvalidError,
    TranscriptTooLongError,
    UnknownRubricError,
)
from tandem_feedback.domain.output_shape import judgement_schema
from tandem_feedback.domain.rubric import Rubric, Rubrics, ScoredCriterion
from tests.support.fake_engine import FakeEngine, generation
from tests.support.feedback_builders import a_request
from tests.support.schema_instance import smallest_instance

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
    assert (result.model, result.adapter) == ("default-model", None)


async def test_adapter_is_told_beside_its_base_model() -> None:
    engine = FakeEngine(adapters={"judge-lora": "base"})
    result = await judge(engine).judge(a_request(model="judge-lora"))
    assert (result.model, result.adapter, engine.asked[0]["model"]) == ("base", "judge-lora", "judge-lora")


async def test_seed_follows_from_the_request_id_when_none_is_named() -> None:
    engine = FakeEngine()
    results = [await judge(engine).judge(a_request(request_id=name)) for name in ("fb-1", "fb-1", "fb-2")]
    seeds = [result.seed for result in results]
    assert seeds == [asked["seed"] for asked in engine.asked]
    assert seeds[0] == seeds[1] == 851206710
    assert seeds[2] != seeds[0]


async def test_times_of_counting_and_generating_are_kept() -> None:
    timings = (await judge(FakeEngine()).judge(a_request())).timings
    assert timings is not None
    assert timings.generating_seconds >= 0


async def test_output_is_guided_by_the_rubrics_schema_and_bounded() -> None:
    engine = FakeEngine()
    await judge(engine).judge(a_request())
    (asked,) = engine.asked
    assert asked["schema"] == judgement_schema(RUBRICS.find(RubricRef()))
    assert 0 < asked["max_tokens"] <= 700
    assert asked["temperature"] == 0


async def test_just_so_many_of_the_oldest_turns_are_left_out_that_the_rest_fits() -> None:
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
    assert asked["max_tokens"] < 400 + 101, "one more turn would have fitted"
    assert f"first {result.omitted_turns} of 20 messages are left out" in prompt
    assert (
        result.note
        == f"{result.omitted_turns} of 20 messages are left out: they do not fit the model's window."
    )


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
    assert (result.repairs, result.truncations) == (1, 0)
    assert second["schema"] == first["schema"]
    assert second["seed"] != first["seed"]
    assert second["temperature"] > first["temperature"]
    assert second["messages"] == first["messages"]
    assert result.usage == TokenUsage(prompt_tokens=200, completion_tokens=40)


async def test_cut_off_output_is_repaired_with_more_room_and_less_to_say() -> None:
    engine = FakeEngine(acts=[generation(truncated=True)])
    result = await judge(engine).judge(a_request())
    first, second = engine.asked
    assert (result.repairs, result.truncations) == (1, 1)
    assert second["max_tokens"] > first["max_tokens"]
    summaries = [asked["schema"]["properties"]["summary"]["maxLength"] for asked in (first, second)]
    assert summaries[1] < summaries[0]


async def test_repair_of_cut_off_output_is_bounded_by_what_its_characters_cost() -> None:
    cut_off = Generation("\u1100" * 300, truncated=True, prompt_tokens=100, completion_tokens=900)
    engine = FakeEngine(acts=[cut_off], write=lambda asked: smallest_instance(asked["schema"]), window=1000)
    await judge(engine).judge(a_request())
    schema = engine.asked[1]["schema"]["properties"]
    characters = schema["summary"]["maxLength"] + sum(
        schema[name]["maxItems"] * schema[name]["items"]["maxLength"]
        for name in ("strengths", "improvements")
    )
    assert characters * 3 <= engine.asked[1]["max_tokens"]


async def test_less_may_be_said_from_the_start_when_little_room_is_left() -> None:
    roomy, tight = FakeEngine(), FakeEngine(window=550)
    for engine in (roomy, tight):
        await judge(engine).judge(a_request())
    lengths = [engine.asked[0]["schema"]["properties"]["summary"]["maxLength"] for engine in (roomy, tight)]
    assert lengths[0] > lengths[1]


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


SCORED = Rubrics(
    [
        Rubric(
            "general",
            1,
            "General",
            "Judge.",
            scored_criteria=(
                ScoredCriterion("truth", "Truth", "It is true.", {1: "no", 5: "yes"}),
                ScoredCriterion("form", "Form", "It is short.", {0: "no", 10: "yes"}),
            ),
        )
    ]
)
ANSWER = {
    "criteria": {
        "truth": {
            "evidence": ["what is 2+2?", "What is  2 + 2", "I never said so"],
            "reason": "Right.",
            "score": 5,
        },
        "form": {"evidence": ["4"], "reason": "One word.", "score": 10},
    },
    "summary": "Good.",
    "strengths": ["Short."],
    "improvements": ["Show how."],
    "score": 4,
}


async def test_criteria_come_with_score_reason_and_true_quotes_and_false_ones_are_counted() -> None:
    engine = FakeEngine(write=lambda _: ANSWER)
    result = await Judge(engine, SCORED, "default-model").judge(a_request())
    truth, form = result.criteria
    assert (truth.id, truth.title, truth.score, truth.lowest, truth.highest) == ("truth", "Truth", 5, 1, 5)
    assert truth.reason == "Right."
    assert truth.evidence == (Evidence(quote="What is 2 + 2", turn=0),)
    assert (form.score, form.highest, form.evidence) == (10, 10, (Evidence(quote="4", turn=1),))
    assert result.evidence_dropped == 2
    assert result.score == 4


async def test_score_out_of_a_criterions_scale_is_repaired() -> None:
    bad = {**ANSWER, "criteria": {**ANSWER["criteria"], "truth": {"reason": "r", "score": 9}}}  # type: ignore[dict-item]
    engine = FakeEngine(acts=[generation(json.dumps(bad))], write=lambda _: ANSWER)
    result = await Judge(engine, SCORED, "default-model").judge(a_request())
    assert (result.repairs, result.criteria[0].score) == (1, 5)
