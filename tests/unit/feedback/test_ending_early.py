"""A request may end before it is judged: at its deadline, or called off before, while and after it runs; the trail tells it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from tandem_contracts import topics
from tandem_contracts.feedback import (
    FeedbackCancelledV1,
    FeedbackFailedV1,
)
from tandem_feedback.domain.errors import (
    EngineBusyError,
)
from tandem_feedback.domain.job import JobState
from tests.support.eventually import eventually
from tests.support.fake_engine import FakeEngine
from tests.support.feedback_bench import FeedbackBench, open_bench
from tests.support.feedback_builders import WHEN, a_request
from tests.support.feedback_handling import Worker, blocked_engine, outcomes


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[FeedbackBench]:
    async with open_bench(f"sqlite+aiosqlite:///{tmp_path}/feedback.db") as bench:
        yield bench


async def test_trail_tells_each_change_once_and_in_order(bench: FeedbackBench) -> None:
    request = a_request()
    worker = Worker(bench, FakeEngine(acts=[EngineBusyError("full")]))
    with pytest.raises(EngineBusyError):
        await worker.handle(request)
    await worker.handle(request)
    await worker.handle(request)
    assert await bench.history(request) == ["queued", "running", "queued", "running", "done"]
    async with bench.store.read() as transaction:
        trail = await transaction.history(request.request_id)
    assert [change.number for change in trail] == [1, 2, 3, 4, 5]
    assert trail[2].detail == "waiting: full"
    assert [change.at for change in trail] == sorted(change.at for change in trail)


async def test_waiting_ends_as_a_failure_when_the_deadline_has_passed(bench: FeedbackBench) -> None:
    request = a_request()
    engine = FakeEngine(acts=[EngineBusyError("full")])
    worker = Worker(bench, engine)
    with pytest.raises(EngineBusyError):
        await worker.handle(request)
    await bench.let_deadline_pass(request)
    await worker.handle(request)
    (failure,) = await outcomes(bench)
    assert isinstance(failure, FeedbackFailedV1)
    assert (failure.code, failure.attempts, len(engine.asked)) == ("deadline_exceeded", 0, 1)
    assert await bench.history(request) == ["queued", "running", "queued", "failed"]


async def test_deadline_of_the_request_itself_counts_even_if_it_has_passed(bench: FeedbackBench) -> None:
    engine = FakeEngine()
    late, never = a_request(deadline_at=WHEN), a_request(deadline_at=datetime.max.replace(tzinfo=UTC))
    for request in (late, never):
        await Worker(bench, engine).handle(request)
    assert [(await bench.job(request)).state for request in (late, never)] == [JobState.FAILED, JobState.DONE]
    assert len(engine.asked) == 1


async def test_old_request_time_is_no_deadline(bench: FeedbackBench) -> None:
    request = a_request(requested_at=datetime.min.replace(tzinfo=timezone(timedelta(hours=14))))
    await Worker(bench, FakeEngine()).handle(request)
    assert (await bench.job(request)).state is JobState.DONE


async def test_cancelled_request_never_runs(bench: FeedbackBench) -> None:
    request, engine = a_request(), FakeEngine()
    await bench.accept(request)
    await bench.cancel(request)
    await Worker(bench, engine).handle(request)
    assert (await bench.job(request)).state is JobState.CANCELLED
    assert (await bench.history(request), engine.asked) == (["queued", "cancelled"], [])


async def test_request_that_was_called_off_before_it_came_never_runs(bench: FeedbackBench) -> None:
    request, engine = a_request(), FakeEngine()
    worker = Worker(bench, engine)
    await worker.call_off(request)
    await worker.handle(request)
    assert ((await bench.job(request)).state, engine.asked) == (JobState.CANCELLED, [])
    events = [envelope.event for envelope in await bench.announced(topics.FEEDBACK_RESULTS)]
    assert [type(event) for event in events] == [FeedbackCancelledV1]


async def test_running_request_is_stopped_and_its_engine_call_closed_when_cancelled(
    bench: FeedbackBench,
) -> None:
    request, engine = a_request(), blocked_engine()
    worker = Worker(bench, engine, lease=timedelta(seconds=0.6))
    working = asyncio.create_task(worker.handle(request))
    await eventually("the worker generates", lambda: engine.asked)
    await worker.call_off(request)
    await asyncio.wait_for(working, timeout=20)
    assert engine.interrupted == 1
    assert await bench.history(request) == ["queued", "running", "cancelled"]
    assert len(await bench.announced(topics.FEEDBACK_RESULTS)) == 1


async def test_cancelling_a_finished_request_changes_nothing(bench: FeedbackBench) -> None:
    request = a_request()
    worker = Worker(bench, FakeEngine())
    await worker.handle(request)
    await worker.call_off(request)
    assert (await bench.job(request)).state is JobState.DONE
    assert len(await bench.announced(topics.FEEDBACK_RESULTS)) == 1
