"""Stored conversations are judged again a few at a time, through the same queue, and set beside what was judged before."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from tandem_contracts import topics
from tandem_contracts.feedback import (
    CriterionResult,
    FeedbackCompletedV1,
    FeedbackRequestedV1,
    FeedbackResult,
    RubricRef,
    Turn,
)
from tandem_feedback.adapters.rubric_files import load_rubrics
from tandem_feedback.adapters.sql.evaluation import SqlEvaluationStore
from tandem_feedback.application.compare_batch import CompareBatch
from tandem_feedback.application.measure_agreement import MeasureAgreement
from tandem_feedback.application.run_batches import BatchFeeder, RunBatches
from tandem_feedback.domain.batch import BatchDefinition, BatchState, Selection, Variant
from tandem_feedback.domain.errors import BatchMismatchError, BatchNotFoundError, UnknownRubricError
from tandem_feedback.domain.job import JobState, Progress
from tests.support.feedback_bench import FeedbackBench
from tests.support.feedback_builders import WHEN, a_request, a_result

GENERAL_1, GENERAL_2 = (Variant(rubric=RubricRef(id="general", version=version)) for version in (1, 2))
BOTH = BatchDefinition(variants=(GENERAL_1, GENERAL_2))


class Evaluation:
    """The use cases of evaluation over the bench's database, and a worker that judges what is in the queue."""

    def __init__(self, bench: FeedbackBench) -> None:
        self.bench = bench
        self.store = SqlEvaluationStore(bench.database)
        self.batches = RunBatches(self.store, load_rubrics())
        self.compare = CompareBatch(self.store)
        self.agreement = MeasureAgreement(self.store)
        self.woken = 0

    def feeder(self, *, in_flight: int = 100) -> BatchFeeder:
        return BatchFeeder(
            self.store,
            in_flight=in_flight,
            every_seconds=60,
            default_deadline=timedelta(days=1),
            on_committed=self._wake,
        )

    def _wake(self) -> None:
        self.woken += 1

    async def store_request(
        self, conversation_id: str, *, score: int | None = 4, **changes: object
    ) -> FeedbackRequestedV1:
        """Store a request as if it had come over the topic, with its result unless `score` is None."""
        request = a_request(conversation_id=conversation_id, **changes)
        await self.bench.accept(request)
        if score is not None:
            await self.finish(request, a_result(score=score))
        return request

    async def finish(self, request: FeedbackRequestedV1, result: FeedbackResult) -> None:
        claim = await self.bench.claim(request)
        outcome = FeedbackCompletedV1(
            request_id=request.request_id,
            conversation_id=request.conversation_id,
            result=result,
            completed_at=WHEN,
        )
        async with self.bench.store.write() as transaction:
            assert await transaction.finish(claim, outcome)

    async def queued(self) -> list[FeedbackRequestedV1]:
        found = [envelope.event for envelope in await self.bench.announced(topics.FEEDBACK_REQUESTS)]
        return [event for event in found if isinstance(event, FeedbackRequestedV1)]

    async def progress(self, batch_id: str) -> Progress:
        async with self.store.read() as transaction:
            return await transaction.progress(batch_id)

    async def judge_queued(self, scores: Sequence[int], *, criteria: Sequence[int] = ()) -> None:
        """Finish the queued requests in order with these scores."""
        for number, (request, score) in enumerate(zip(await self.queued(), scores, strict=True)):
            found = tuple(a_clarity(one) for one in criteria[number : number + 1])
            await self.finish(request, a_result(score=score, criteria=found, rubric=request.rubric))


def a_clarity(score: int) -> CriterionResult:
    return CriterionResult(id="clarity", title="Clarity", score=score, lowest=1, highest=5, reason="So.")


@pytest.fixture
def evaluation(bench: FeedbackBench) -> Evaluation:
    return Evaluation(bench)


async def test_every_stored_conversation_is_judged_again_by_each_variant(evaluation: Evaluation) -> None:
    old = await evaluation.store_request("c-1")
    newer = await evaluation.store_request("c-1", transcript=(Turn(role="user", content="More"),), seed=7)
    other = await evaluation.store_request("c-2", score=None)
    made = await evaluation.batches.create(BOTH, batch_id="b-1")
    assert (made.progress.total, made.progress.waiting) == (4, 4)
    assert await evaluation.feeder().feed() == 4
    queued = await evaluation.queued()
    assert [(r.conversation_id, r.rubric.version) for r in queued] == [
        ("c-1", 1),
        ("c-1", 2),
        ("c-2", 1),
        ("c-2", 2),
    ]
    assert queued[0].transcript == newer.transcript != old.transcript
    assert (queued[0].seed, queued[1].seed) == (7, 7)
    assert queued[2].seed == queued[3].seed is not None
    assert queued[2].transcript == other.transcript
    assert {request.batch_id for request in queued} == {"b-1"}
    assert evaluation.woken == 1


async def test_progress_goes_from_waiting_over_queued_to_done(evaluation: Evaluation) -> None:
    for number in range(3):
        await evaluation.store_request(f"c-{number}")
    await evaluation.batches.create(BatchDefinition(variants=(GENERAL_1,)), batch_id="b-1")
    feeder = evaluation.feeder(in_flight=2)
    assert await feeder.feed() == 2
    progress = await evaluation.progress("b-1")
    assert (progress.total, progress.waiting, progress.states[JobState.QUEUED]) == (3, 1, 2)
    assert await feeder.feed() == 0, "the queue holds as many as it may"
    await evaluation.judge_queued([4, 4])
    assert not (await evaluation.progress("b-1")).is_final
    assert await feeder.feed() == 1
    (last,) = [r for r in await evaluation.queued() if r.conversation_id == "c-2"]
    await evaluation.finish(last, a_result())
    await feeder.feed()
    progress = await evaluation.progress("b-1")
    assert (progress.total, progress.waiting, progress.states[JobState.DONE]) == (3, 0, 3)
    assert progress.is_final
    assert (await evaluation.batches.newest(limit=5))[0].batch.state is BatchState.FED


async def test_nothing_goes_to_the_queue_twice_when_several_feed_at_once(evaluation: Evaluation) -> None:
    for number in range(30):
        await evaluation.store_request(f"c-{number:02}")
    await evaluation.batches.create(BOTH, batch_id="b-1")
    feeders = [evaluation.feeder(in_flight=10) for _ in range(4)]
    sent = sum(await asyncio.gather(*[feeder.feed() for feeder in feeders]))
    queued = await evaluation.queued()
    assert sent == len(queued) == len({request.request_id for request in queued}) == 10


async def test_reruns_are_no_transcripts_of_their_own(evaluation: Evaluation) -> None:
    await evaluation.store_request("c-1")
    await evaluation.batches.create(BOTH, batch_id="b-1")
    await evaluation.feeder().feed()
    again = await evaluation.batches.create(BatchDefinition(variants=(GENERAL_1,)), batch_id="b-2")
    assert again.progress.total == 1


async def test_only_selected_conversations_are_judged_again(evaluation: Evaluation) -> None:
    for name in ("c-1", "c-2", "c-3"):
        await evaluation.store_request(name)
    wanted = Selection(conversation_ids=("c-3", "c-1", "c-9"))
    made = await evaluation.batches.create(
        BatchDefinition(variants=(GENERAL_2,), selection=wanted), batch_id=None
    )
    assert made.progress.total == 2
    await evaluation.feeder().feed()
    assert [request.conversation_id for request in await evaluation.queued()] == ["c-1", "c-3"]
    past = Selection(received_until=WHEN)
    none = await evaluation.batches.create(
        BatchDefinition(variants=(GENERAL_2,), selection=past), batch_id=None
    )
    assert none.progress.total == 0


async def test_newest_rubric_is_pinned_when_the_batch_is_made(evaluation: Evaluation) -> None:
    made = await evaluation.batches.create(BatchDefinition(variants=(Variant(),)), batch_id=None)
    assert made.batch.definition.variants[0].rubric == RubricRef(id="general", version=2)
    unknown = BatchDefinition(variants=(Variant(rubric=RubricRef(id="poetry")),))
    with pytest.raises(UnknownRubricError):
        await evaluation.batches.create(unknown, batch_id=None)


async def test_same_id_is_the_same_batch_and_another_definition_is_refused(evaluation: Evaluation) -> None:
    await evaluation.store_request("c-1")
    first = await evaluation.batches.create(BOTH, batch_id="b-1")
    assert (await evaluation.batches.create(BOTH, batch_id="b-1")).batch == first.batch
    with pytest.raises(BatchMismatchError, match="use a new id"):
        await evaluation.batches.create(BatchDefinition(variants=(GENERAL_1,)), batch_id="b-1")


async def test_cancelled_batch_hands_over_nothing_more(evaluation: Evaluation) -> None:
    for number in range(3):
        await evaluation.store_request(f"c-{number}")
    await evaluation.batches.create(BatchDefinition(variants=(GENERAL_1,)), batch_id="b-1")
    feeder = evaluation.feeder(in_flight=1)
    await feeder.feed()
    cancelled = await evaluation.batches.cancel("b-1")
    assert (cancelled.batch.state, cancelled.progress.waiting) == (BatchState.CANCELLED, 0)
    await evaluation.judge_queued([3])
    assert await feeder.feed() == 0
    assert (await evaluation.progress("b-1")).is_final
    with pytest.raises(BatchNotFoundError):
        await evaluation.batches.cancel("unknown")


async def test_two_variants_stand_side_by_side(evaluation: Evaluation) -> None:
    for name in ("c-1", "c-2", "c-3"):
        await evaluation.store_request(name)
    await evaluation.batches.create(BOTH, batch_id="b-1")
    await evaluation.feeder().feed()
    await evaluation.judge_queued([4, 5, 2, 2, 3, 1], criteria=[1, 2, 3, 3, 5, 4])
    found = await evaluation.compare.compare("b-1")
    assert (found.first_name, found.second_name) == ("general v1", "general v2")
    assert [(c.conversation_id, c.difference) for c in found.conversations] == [
        ("c-1", 1),
        ("c-2", 0),
        ("c-3", -2),
    ]
    assert found.overall is not None
    assert (found.overall.count, found.overall.mean_first, found.overall.exact_share) == (3, 3, 1 / 3)
    assert found.criteria["clarity"].mean_difference == 0


async def test_one_variant_stands_beside_what_was_stored_before(evaluation: Evaluation) -> None:
    await evaluation.store_request("c-1", score=2)
    await evaluation.store_request("c-2", score=None)
    await evaluation.batches.create(BatchDefinition(variants=(GENERAL_2,)), batch_id="b-1")
    await evaluation.feeder().feed()
    await evaluation.judge_queued([5, 5])
    found = await evaluation.compare.compare("b-1")
    assert found.first_name == "stored before"
    first, second = found.conversations
    assert (first.first.score, first.second.score, first.difference) == (2, 5, 3)
    assert (second.first.state, second.difference) == (JobState.QUEUED, None)
    assert found.overall is not None
    assert found.overall.count == 1


async def test_people_and_model_are_compared_per_rubric_version_on_the_newest_result(
    evaluation: Evaluation,
) -> None:
    await evaluation.store_request("c-1", score=1)
    await evaluation.store_request("c-1", score=4)
    await evaluation.store_request("c-2", score=2)
    await evaluation.store_request("c-3", score=5)
    await evaluation.batches.create(BatchDefinition(variants=(GENERAL_2,)), batch_id="b-1")
    await evaluation.feeder().feed()
    await evaluation.judge_queued([5, 1, 3])
    agreement = evaluation.agreement
    await agreement.record("c-1", "kim", score=1)
    corrected = await agreement.record("c-1", "kim", score=5, comment="말이 맞다")
    await agreement.record("c-1", "lee", score=4)
    await agreement.record("c-2", "kim", score=1)
    await agreement.record("c-9", "kim", score=1)
    assert await agreement.scores("c-1") == [corrected, (await agreement.scores("c-1"))[1]]
    first, second = await agreement.measure()
    assert (first.rubric.version, first.conversations, first.figures.count) == (1, 2, 3)
    assert first.figures.mean_difference == pytest.approx((4 - 5 + 4 - 4 + 2 - 1) / 3)
    assert (second.rubric.version, second.figures.count) == (2, 3)
    assert [one.rubric.version for one in await agreement.measure(rubric_id="general", version=2)] == [2]
    assert await agreement.measure(rubric_id="poetry") == []
