"""The door to an engine in time: bounded waits, and no slot lost whenever a caller gives up."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tandem_inference.errors import QueueFullError, QueueTimeoutError
from tandem_inference.gateway.admission.admission import Admission
from tandem_inference.gateway.admission.limits import AdmissionLimits, ClassLimits
from tandem_inference.gateway.admission.service_rate import ServiceRate
from tandem_inference.gateway.admission.ticket import Phase, Ticket
from tandem_inference.gateway.request_class import RequestClass

CHAT, FEEDBACK = RequestClass.INTERACTIVE, RequestClass.BACKGROUND
LONG_SECONDS = 60.0


def _admission(slots: int = 4, *, queue: int = 10) -> Admission:
    limits = ClassLimits(queue_length=queue, longest_wait_seconds=LONG_SECONDS)
    return Admission("stub", slots, AdmissionLimits(2, 1, limits, limits))


@asynccontextmanager
async def _inside(admission: Admission, ticket: Ticket) -> AsyncIterator[None]:
    try:
        await admission.enter(ticket, LONG_SECONDS)
        yield
    finally:
        admission.leave(ticket)


async def _all_in(admission: Admission, count: int) -> list[Ticket]:
    tickets = [Ticket(CHAT) for _ in range(count)]
    for ticket in tickets:
        await admission.enter(ticket, LONG_SECONDS)
    return tickets


async def test_a_request_that_finds_the_queue_full_is_sent_away_with_a_time_to_come_back() -> None:
    admission = _admission(queue=1)
    await _all_in(admission, 4)
    waits = asyncio.create_task(admission.enter(Ticket(CHAT), LONG_SECONDS))
    await asyncio.sleep(0)
    with pytest.raises(QueueFullError) as error:
        await admission.enter(Ticket(CHAT), LONG_SECONDS)
    assert 1 <= error.value.retry_after_seconds <= 60
    assert admission.snapshot().interactive.waiting == 1
    waits.cancel()


async def test_a_request_that_waits_too_long_is_sent_away_and_its_place_is_free() -> None:
    admission = _admission()
    await _all_in(admission, 4)
    with pytest.raises(QueueTimeoutError):
        await admission.enter(Ticket(CHAT), 0.01)
    assert admission.snapshot().interactive.waiting == 0


async def test_the_oldest_wait_is_that_of_the_request_that_came_first() -> None:
    now = 100.0
    limits = ClassLimits(10, LONG_SECONDS)
    admission = Admission("stub", 1, AdmissionLimits(2, 1, limits, limits), clock=lambda: now)
    await admission.enter(Ticket(CHAT), LONG_SECONDS)
    waits = asyncio.create_task(admission.enter(Ticket(CHAT), LONG_SECONDS))
    await asyncio.sleep(0)
    now = 103.5
    snapshot = admission.snapshot()
    assert snapshot.interactive.oldest_wait_seconds == 3.5
    assert (snapshot.slots, snapshot.free, snapshot.interactive.running) == (1, 0, 1)
    waits.cancel()


async def test_a_slot_given_to_a_caller_that_leaves_at_that_moment_goes_to_the_next() -> None:
    admission = _admission(slots=1)
    (running,) = await _all_in(admission, 1)
    leaver, follower = Ticket(CHAT), Ticket(CHAT)
    leaving = asyncio.create_task(admission.enter(leaver, LONG_SECONDS))
    following = asyncio.create_task(admission.enter(follower, LONG_SECONDS))
    await asyncio.sleep(0)
    admission.leave(running)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    admission.leave(leaver)
    await asyncio.wait_for(following, 20)
    assert (leaver.phase, follower.phase) == (Phase.OUT, Phase.RUNNING)


@pytest.mark.parametrize("seed", range(5))
async def test_no_slot_is_lost_when_callers_leave_at_random(seed: int) -> None:
    admission, dice = _admission(slots=5, queue=10_000), random.Random(seed)

    async def call(number: int) -> None:
        ticket = Ticket(dice.choice([CHAT, FEEDBACK]), f"tenant-{number % 3}", dice.choice([1, 1, 1, 3]))
        async with _inside(admission, ticket):
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)

    calls = [asyncio.create_task(call(number)) for number in range(2000)]
    while unfinished := [task for task in calls if not task.done()]:
        for task in dice.sample(unfinished, min(20, len(unfinished))):
            if dice.random() < 0.5:
                task.cancel()
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {type(None), asyncio.CancelledError}
    snapshot = admission.snapshot()
    assert (snapshot.free, snapshot.interactive.waiting, snapshot.background.waiting) == (5, 0, 0)


def test_the_time_to_come_back_follows_the_rate_at_which_slots_were_freed() -> None:
    rate = ServiceRate(now=0.0)
    assert rate.retry_after_seconds(100, now=0.0) == 5  # nothing is known yet
    for second in range(30):
        rate.add(2, now=float(second))
    assert rate.per_second(30.0) == pytest.approx(2.0)
    assert rate.retry_after_seconds(100, now=30.0) == 5  # a tenth of the queue at two a second
    assert rate.retry_after_seconds(0, now=30.0) == 1
    assert rate.retry_after_seconds(10_000, now=30.0) == 60
    assert rate.per_second(90.0) is None  # nothing was freed in the last minute
