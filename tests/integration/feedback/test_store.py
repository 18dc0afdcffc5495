"""Jobs behave the same on SQLite and Postgres: one per request id, claims are fenced, outcome and event go together."""

import asyncio
from datetime import timedelta

import pytest

from tandem_contracts import topics
from tandem_contracts.feedback import FeedbackRequestedV1, Turn
from tandem_feedback.application.sweep import Sweeper
from tandem_feedback.domain.errors import JobNotFoundError, JobTakenError, RequestMismatchError
from tandem_feedback.domain.job import Claim, JobState
from tests.support.feedback_bench import LEASE, FeedbackBench
from tests.support.feedback_builders import a_completion, a_request

STALE = timedelta(minutes=10)


async def test_request_is_one_job_however_often_and_at_once_it_comes(bench: FeedbackBench) -> None:
    request = a_request()
    jobs = await asyncio.gather(*[bench.accept(request) for _ in range(8)])
    assert {job.request_id for job in jobs} == {request.request_id}
    assert (await bench.job(request)).state is JobState.QUEUED


async def test_another_body_under_the_same_id_is_refused(bench: FeedbackBench) -> None:
    request = a_request()
    await bench.accept(request)
    with pytest.raises(RequestMismatchError):
        await bench.accept(request.model_copy(update={"transcript": (Turn(role="user", content="Else"),)}))


async def test_text_in_any_script_comes_back_as_it_was(bench: FeedbackBench) -> None:
    request = a_request()
    await bench.accept(request)
    claim = await bench.claim(request)
    outcome = a_completion(request, summary="좋은 답변 👍\n\t\"quoted\" \\ 'x'")
    async with bench.store.write() as transaction:
        assert await transaction.finish(claim, outcome)
    assert (await bench.job(request)).outcome == outcome
    assert [envelope.event for envelope in await bench.announced(topics.FEEDBACK_RESULTS)] == [outcome]


async def test_unknown_request_is_told_as_such(bench: FeedbackBench) -> None:
    with pytest.raises(JobNotFoundError):
        await bench.job(a_request())


async def test_one_worker_gets_the_claim_when_many_try_at_once(bench: FeedbackBench) -> None:
    request = a_request()
    await bench.accept(request)
    tries = [bench.claim(request, owner=f"worker-{n}") for n in range(8)]
    ends = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(end, JobTakenError) for end in ends) == 7
    assert ((await bench.job(request)).fence, (await bench.job(request)).attempts) == (1, 1)


async def test_finished_job_can_never_be_claimed_again(bench: FeedbackBench) -> None:
    done, cancelled = a_request(), a_request()
    for request in (done, cancelled):
        await bench.accept(request)
    claim = await bench.claim(done)
    async with bench.store.write() as transaction:
        assert await transaction.finish(claim, a_completion(done))
    await bench.cancel(cancelled)
    for request, state in ((done, JobState.DONE), (cancelled, JobState.CANCELLED)):
        with pytest.raises(JobTakenError):
            await bench.claim(request)
        assert (await bench.job(request)).state is state
    assert len(await bench.announced(topics.FEEDBACK_RESULTS)) == 2


async def test_old_claim_can_do_nothing_once_another_worker_has_the_job(bench: FeedbackBench) -> None:
    request = a_request()
    await bench.crash_while_working_on(request)
    old = await _claim_of_dead(bench, request.request_id)
    new = await bench.claim(request)
    before = await bench.row(request)
    async with bench.store.write() as transaction:
        assert not await transaction.renew(old, lease=LEASE)
        assert not await transaction.finish(old, a_completion(request))
        await transaction.give_back(old, count_attempt=False)
    assert await bench.row(request) == before
    assert await bench.announced() == []
    async with bench.store.write() as transaction:
        assert await transaction.renew(new, lease=LEASE)
        assert await transaction.finish(new, a_completion(request))
        assert not await transaction.finish(new, a_completion(request))
    assert len(await bench.announced()) == 1


async def test_job_is_free_at_once_when_given_back(bench: FeedbackBench) -> None:
    request = a_request()
    await bench.accept(request)
    for count_attempt, attempts in ((False, 0), (True, 1)):
        claim = await bench.claim(request)
        async with bench.store.write() as transaction:
            await transaction.give_back(claim, count_attempt=count_attempt)
        job = await bench.job(request)
        assert (job.state, job.attempts) == (JobState.QUEUED, attempts)


async def test_finished_job_and_its_event_vanish_together_when_the_transaction_fails(
    bench: FeedbackBench,
) -> None:
    request = a_request()
    await bench.accept(request)
    claim = await bench.claim(request)

    async def finish_then_fail() -> None:
        async with bench.store.write() as transaction:
            assert await transaction.finish(claim, a_completion(request))
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        await finish_then_fail()
    assert ((await bench.job(request)).state, await bench.announced()) == (JobState.RUNNING, [])


async def test_sweep_publishes_abandoned_requests_again_and_only_those(bench: FeedbackBench) -> None:
    lost, crashed, fresh, working, done = [a_request() for _ in range(5)]
    for request in (lost, fresh, working, done):
        await bench.accept(request)
    await bench.crash_while_working_on(crashed)
    await bench.claim(working)
    claim = await bench.claim(done)
    async with bench.store.write() as transaction:
        await transaction.finish(claim, a_completion(done))
    for request in (lost, crashed, working, done):
        await bench.let_time_pass_since_touched(request, STALE)

    woken: list[bool] = []
    sweeper = Sweeper(
        bench.store,
        every_seconds=3600,
        requeue_after=timedelta(minutes=5),
        queue_is_empty=lambda: True,
        on_committed=lambda: woken.append(True),
    )
    await sweeper.sweep()
    published = [envelope.event for envelope in await bench.announced(topics.FEEDBACK_REQUESTS)]
    assert sorted(event.request_id for event in published) == sorted([lost.request_id, crashed.request_id])
    assert lost in published
    assert woken == [True]

    await sweeper.sweep()
    assert len(await bench.announced(topics.FEEDBACK_REQUESTS)) == 2, "it has just been published again"
    assert woken == [True]


async def test_waiting_requests_are_not_published_again_while_the_queue_has_messages(
    bench: FeedbackBench,
) -> None:
    request = a_request()
    await bench.accept(request)
    await bench.let_time_pass_since_touched(request, STALE)
    sweeper = Sweeper(
        bench.store,
        every_seconds=3600,
        requeue_after=timedelta(minutes=5),
        queue_is_empty=lambda: False,
        on_committed=lambda: None,
    )
    await sweeper.sweep()
    assert await bench.announced(topics.FEEDBACK_REQUESTS) == []


async def test_sweep_fails_what_waited_past_its_deadline_and_only_that(bench: FeedbackBench) -> None:
    overdue, working, waiting = [a_request() for _ in range(3)]
    for request in (overdue, working, waiting):
        await bench.accept(request)
    await bench.claim(working)
    for request in (overdue, working):
        await bench.let_deadline_pass(request)
    sweeper = Sweeper(
        bench.store,
        every_seconds=3600,
        requeue_after=STALE,
        queue_is_empty=lambda: False,
        on_committed=lambda: None,
    )
    await asyncio.gather(sweeper.sweep(), sweeper.sweep())
    (told,) = await bench.announced(topics.FEEDBACK_RESULTS)
    assert (told.event.request_id, getattr(told.event, "code", None)) == (
        overdue.request_id,
        "deadline_exceeded",
    )
    assert (await bench.job(working)).state is JobState.RUNNING
    assert await bench.history(overdue) == ["queued", "failed"]


async def test_one_outcome_wins_when_finishing_and_cancelling_race(bench: FeedbackBench) -> None:
    for _ in range(10):
        request = a_request()
        await bench.accept(request)
        claim = await bench.claim(request)

        async def finish(claim: Claim = claim, request: FeedbackRequestedV1 = request) -> bool:
            async with bench.store.write() as transaction:
                return await transaction.finish(claim, a_completion(request))

        finished, cancelled = await asyncio.gather(finish(), bench.cancel(request))
        assert cancelled is not None
        job = await bench.job(request)
        assert job.state is (JobState.DONE if finished else JobState.CANCELLED) is cancelled.state
        assert len(await bench.history(request)) == 3
        about_it = [e for e in await bench.announced() if e.event.request_id == request.request_id]
        assert len(about_it) == 1


async def test_called_off_request_is_remembered_once_and_then_forgotten(bench: FeedbackBench) -> None:
    request = a_request()
    assert [await bench.cancel(request), await bench.cancel(request)] == [None, None]
    assert (await bench.accept(request)).state is JobState.CANCELLED
    other = a_request()
    await bench.cancel(other)
    async with bench.store.write() as transaction:
        await transaction.forget_cancellations(older_than=timedelta(seconds=-1))
    assert (await bench.accept(other)).state is JobState.QUEUED


async def test_abandoned_request_is_published_once_when_two_sweep_at_once(bench: FeedbackBench) -> None:
    requests = [a_request() for _ in range(20)]
    for request in requests:
        await bench.accept(request)
        await bench.let_time_pass_since_touched(request, STALE)

    async def sweep() -> int:
        async with bench.store.write() as transaction:
            return len(await transaction.requeue_abandoned(older_than=timedelta(minutes=5), limit=100))

    assert sum(await asyncio.gather(sweep(), sweep())) == len(requests)
    assert len(await bench.announced(topics.FEEDBACK_REQUESTS)) == len(requests)


async def _claim_of_dead(bench: FeedbackBench, request_id: str) -> Claim:
    async with bench.store.read() as transaction:
        job = await transaction.job(request_id)
    return Claim(request_id, fence=job.fence, attempts=job.attempts)
