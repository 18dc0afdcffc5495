"""One request gets exactly one outcome, however often it is delivered and whoever crashes on the way."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tandem_contracts.feedback import (
    FeedbackCompletedV1,
    FeedbackFailedV1,
    Turn,
)
from tandem_feedback.adapters.sql import store as store_module
from tandem_feedback.domain.errors import (
    AttemptPausedError,
    EngineBusyError,
    EngineFailedError,
    EngineRefusedError,
    EngineUnavailableError,
    JobTakenError,
    RequestMismatchError,
    TooManyAttemptsError,
    UnexpectedEventError,
)
from tandem_feedback.domain.job import JobState
from tests.support.eventually import eventually, eventually_awaited
from tests.support.fake_engine import FakeEngine
from tests.support.feedback_bench import FeedbackBench, open_bench
from tests.support.feedback_builders import WHEN, a_completion, a_request, an_envelope
from tests.support.feedback_handling import MAX_ATTEMPTS, Worker, blocked_engine, open_gate, outcomes


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[FeedbackBench]:
    async with open_bench(f"sqlite+aiosqlite:///{tmp_path}/feedback.db") as bench:
        yield bench


async def test_request_becomes_a_stored_and_announced_result(bench: FeedbackBench) -> None:
    request, worker = a_request(), Worker(bench, FakeEngine())
    await worker.handle(request)
    job = await bench.job(request)
    assert (job.state, job.attempts) == (JobState.DONE, 1)
    assert [job.outcome] == await outcomes(bench)
    assert isinstance(job.outcome, FeedbackCompletedV1)
    assert (job.outcome.request_id, job.outcome.conversation_id) == (
        request.request_id,
        request.conversation_id,
    )
    assert worker.committed == 1


async def test_finished_request_is_announced_once_more_and_never_generated_again(
    bench: FeedbackBench,
) -> None:
    request, engine = a_request(), FakeEngine()
    worker = Worker(bench, engine)
    await worker.handle(request)
    await worker.handle(request)
    first, again = await outcomes(bench)
    assert first == again
    assert len(engine.asked) == 1
    assert worker.committed == 2


async def test_repeated_request_is_the_same_one_when_only_its_time_differs(bench: FeedbackBench) -> None:
    request, engine = a_request(), FakeEngine()
    worker = Worker(bench, engine)
    await worker.handle(request)
    await worker.handle(request.model_copy(update={"requested_at": WHEN + timedelta(hours=1)}))
    assert len(engine.asked) == 1


async def test_known_id_with_another_body_is_refused_and_the_first_stands(bench: FeedbackBench) -> None:
    request, engine = a_request(), FakeEngine()
    worker = Worker(bench, engine)
    await worker.handle(request)
    stored = (await bench.job(request)).outcome
    other = request.model_copy(update={"transcript": (Turn(role="user", content="Something else"),)})
    with pytest.raises(RequestMismatchError, match="that one stands"):
        await worker.handle(other)
    assert (await bench.job(request)).outcome == stored
    assert (await outcomes(bench), len(engine.asked)) == ([stored], 1)


async def test_events_that_are_no_requests_belong_to_the_dead_letters(bench: FeedbackBench) -> None:
    worker = Worker(bench, FakeEngine())
    with pytest.raises(UnexpectedEventError, match=r"expected feedback\.requested\.v1"):
        await worker._use_case.handle(an_envelope(a_completion(a_request())))


async def test_one_delivery_works_and_the_others_wait_when_several_come_at_once(bench: FeedbackBench) -> None:
    request, engine = a_request(), blocked_engine()
    workers = [Worker(bench, engine) for _ in range(5)]
    deliveries = [asyncio.create_task(worker.handle(request)) for worker in workers]
    await eventually("all others gave way", lambda: sum(d.done() for d in deliveries) == len(workers) - 1)
    open_gate(engine)
    ends = await asyncio.gather(*deliveries, return_exceptions=True)
    assert sum(isinstance(end, JobTakenError) for end in ends) == len(workers) - 1
    assert (len(engine.asked), len(await outcomes(bench))) == (1, 1)


async def test_late_result_is_dropped_when_another_worker_took_over(bench: FeedbackBench) -> None:
    request, slow_engine = a_request(seed=1), blocked_engine()
    slow, quick = Worker(bench, slow_engine), Worker(bench, FakeEngine())
    late = asyncio.create_task(slow.handle(request))
    await eventually("the slow worker generates", lambda: slow_engine.asked)
    await bench.let_lease_run_out(request)
    await quick.handle(request)
    stored = (await bench.job(request)).outcome
    open_gate(slow_engine)
    await late
    assert await outcomes(bench) == [stored]
    assert (await bench.job(request)).outcome == stored
    assert (slow.committed, quick.committed) == (0, 1)


async def test_late_failure_changes_nothing_when_another_worker_took_over(bench: FeedbackBench) -> None:
    request, slow_engine = a_request(), blocked_engine()
    slow_engine.acts = [EngineUnavailableError("restarting")]
    late = asyncio.create_task(Worker(bench, slow_engine).handle(request))
    await eventually("the slow worker generates", lambda: slow_engine.asked)
    await bench.let_lease_run_out(request)
    claim = await bench.claim(request)
    open_gate(slow_engine)
    with pytest.raises(EngineUnavailableError):
        await late
    row = await bench.row(request)
    assert (row.state, row.fence, row.attempts) == (JobState.RUNNING, claim.fence, claim.attempts)


async def test_work_stops_and_waits_for_the_other_when_its_lease_was_lost(bench: FeedbackBench) -> None:
    request, engine = a_request(), blocked_engine()
    worker = Worker(bench, engine, lease=timedelta(seconds=0.3))
    working = asyncio.create_task(worker.handle(request))
    await eventually("the worker generates", lambda: engine.asked)
    await bench.let_lease_run_out(request)
    claim = await bench.claim(request)
    with pytest.raises(JobTakenError):
        await asyncio.wait_for(working, timeout=20)
    assert engine.interrupted == 1
    assert (await bench.row(request)).fence == claim.fence


async def test_lease_is_kept_as_long_as_the_work_takes(bench: FeedbackBench) -> None:
    request, engine = a_request(), blocked_engine()
    working = asyncio.create_task(Worker(bench, engine, lease=timedelta(seconds=0.5)).handle(request))
    await eventually("the worker generates", lambda: engine.asked)
    first_end = (await bench.row(request)).leased_until

    async def outlived() -> bool:
        async with bench.store.read() as transaction:
            return bool(await transaction.now() > first_end)

    await eventually_awaited("the first lease is over", outlived)
    with pytest.raises(JobTakenError):
        await Worker(bench, FakeEngine()).handle(request)
    open_gate(engine)
    await working
    assert (await bench.job(request)).attempts == 1


async def test_waiting_for_the_engine_spends_no_attempt_however_long(bench: FeedbackBench) -> None:
    request = a_request()
    engine = FakeEngine(acts=[EngineBusyError("full")] * (2 * MAX_ATTEMPTS))
    worker = Worker(bench, engine)
    for _ in range(2 * MAX_ATTEMPTS):
        with pytest.raises(EngineBusyError):
            await worker.handle(request)
        job = await bench.job(request)
        assert (job.state, job.attempts) == (JobState.QUEUED, 0)
    await worker.handle(request)
    assert (await bench.job(request)).attempts == 1


async def test_engine_that_is_away_is_asked_by_one_job_a_second_for_all(bench: FeedbackBench) -> None:
    requests = [a_request() for _ in range(6)]
    engine = FakeEngine(acts=[EngineUnavailableError("restarting", retry_after=60)] * len(requests))
    worker = Worker(bench, engine)
    for request in requests:
        with pytest.raises(EngineUnavailableError, match="restarting"):
            await worker.handle(request)
    assert len(engine.asked) == 1
    assert [(await bench.job(request)).state for request in requests] == [JobState.QUEUED] * len(requests)


async def test_stopping_the_worker_spends_no_attempt_and_frees_the_job(bench: FeedbackBench) -> None:
    request, engine = a_request(), blocked_engine()
    working = asyncio.create_task(Worker(bench, engine).handle(request))
    await eventually("the worker generates", lambda: engine.asked)
    working.cancel()
    await asyncio.wait({working})
    row = await bench.row(request)
    assert (row.state, row.attempts, row.leased_until) == (JobState.QUEUED, 0, None)
    assert engine.interrupted == 1


async def test_crashes_count_and_the_request_fails_when_there_were_too_many(bench: FeedbackBench) -> None:
    request, engine = a_request(), FakeEngine()
    for attempts in range(1, MAX_ATTEMPTS + 1):
        await bench.crash_while_working_on(request)
        assert (await bench.job(request)).attempts == attempts
    worker = Worker(bench, engine)
    with pytest.raises(TooManyAttemptsError, match=request.request_id):
        await worker.handle(request)
    (failure,) = await outcomes(bench)
    assert isinstance(failure, FeedbackFailedV1)
    assert (failure.code, failure.attempts) == ("too_many_attempts", MAX_ATTEMPTS)
    assert ((await bench.job(request)).state, engine.asked) == (JobState.FAILED, [])
    assert worker.committed == 1


async def test_request_survives_fewer_crashes_than_allowed(bench: FeedbackBench) -> None:
    request = a_request()
    for _ in range(MAX_ATTEMPTS - 1):
        await bench.crash_while_working_on(request)
    await Worker(bench, FakeEngine()).handle(request)
    assert ((await bench.job(request)).state, (await bench.job(request)).attempts) == (
        JobState.DONE,
        MAX_ATTEMPTS,
    )


async def test_last_attempt_may_finish_although_the_message_is_delivered_again(bench: FeedbackBench) -> None:
    request, engine = a_request(), blocked_engine()
    for _ in range(MAX_ATTEMPTS - 1):
        await bench.crash_while_working_on(request)
    working = asyncio.create_task(Worker(bench, engine).handle(request))
    await eventually("the last attempt runs", lambda: engine.asked)
    with pytest.raises(JobTakenError):
        await Worker(bench, FakeEngine()).handle(request)
    open_gate(engine)
    await working
    assert (await bench.job(request)).state is JobState.DONE


async def test_defects_count_as_attempts_too(bench: FeedbackBench) -> None:
    request = a_request()
    worker = Worker(bench, FakeEngine(acts=[ZeroDivisionError("a defect")] * MAX_ATTEMPTS))
    for _ in range(MAX_ATTEMPTS - 1):
        with pytest.raises(ZeroDivisionError):
            await worker.handle(request)
        await bench.let_pause_pass(request)
    with pytest.raises(TooManyAttemptsError):
        await worker.handle(request)
    (failure,) = await outcomes(bench)
    assert isinstance(failure, FeedbackFailedV1)
    assert "ZeroDivisionError" in failure.detail


async def test_request_that_breaks_the_engine_fails_after_its_attempts_and_is_buried(
    bench: FeedbackBench,
) -> None:
    request, engine = a_request(), FakeEngine(acts=[EngineFailedError("answered 500")] * MAX_ATTEMPTS)
    worker = Worker(bench, engine)
    pauses = []
    for _ in range(MAX_ATTEMPTS - 1):
        with pytest.raises(EngineFailedError) as told:
            await worker.handle(request)
        pauses.append(told.value.retry_after or 0)
        with pytest.raises(AttemptPausedError):
            await worker.handle(request)
        await bench.let_pause_pass(request)
    with pytest.raises(TooManyAttemptsError, match="answered 500"):
        await worker.handle(request)
    (failure,) = await outcomes(bench)
    assert isinstance(failure, FeedbackFailedV1)
    assert (failure.code, failure.attempts) == ("too_many_attempts", MAX_ATTEMPTS)
    assert len(engine.asked) == MAX_ATTEMPTS
    assert pauses[1] > 2 * pauses[0] > 2


async def test_request_that_can_never_be_judged_fails_with_the_reason_and_is_over(
    bench: FeedbackBench,
) -> None:
    request = a_request(model="no-such-model")
    engine = FakeEngine(acts=[EngineRefusedError("The model `no-such-model` does not exist.")])
    worker = Worker(bench, engine)
    await worker.handle(request)
    (failure,) = await outcomes(bench)
    assert isinstance(failure, FeedbackFailedV1)
    assert (failure.code, failure.attempts) == ("engine_refused", 1)
    assert "no-such-model" in failure.detail
    assert (await bench.job(request)).state is JobState.FAILED


async def test_result_is_not_stored_when_its_event_cannot_be(
    bench: FeedbackBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise OverflowError("no room for the event")

    request = a_request()
    with monkeypatch.context() as broken:
        broken.setattr(store_module, "enqueue", fail)
        with pytest.raises(OverflowError):
            await Worker(bench, FakeEngine()).handle(request)
    job = await bench.job(request)
    assert (job.outcome, job.state.is_final) == (None, False)
    await bench.let_lease_run_out(request)
    await Worker(bench, FakeEngine()).handle(request)
    assert len(await outcomes(bench)) == 1
