"""The consumer gives messages back for later, keeps its heart beating, and knows when its queue is empty."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tandem_messaging.errors import LaterError, TransientError
from tests.support.consumer_stage import LIMITS, Handler, Stage, blocking
from tests.support.eventually import eventually
from tests.support.feedback_builders import a_message


async def test_message_frees_its_slot_and_comes_back_later_when_the_handler_says_so(stage: Stage) -> None:
    await stage.publish()
    handler = Handler(LaterError("after a failed attempt", retry_after=0.4))
    async with stage.consuming(handler):
        await eventually("it is given back", lambda: stage.subscriber.settled)
        assert stage.subscriber.settled == ["extended by 1"]
        await eventually("it came back", lambda: handler.finished, seconds=20)
    assert stage.dead == []


async def test_waiting_message_is_given_back_at_once_when_the_consumer_stops(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.publish()
    handler = Handler(*[TransientError("the engine is away", retry_after=30)] * 5)
    long_drain = replace(LIMITS, drain_seconds=3600)
    async with stage.consuming(handler, limits=long_drain) as consumer:
        await eventually("it waits", lambda: handler.started)
        await asyncio.wait_for(consumer.drain(), timeout=20)
        assert stage.subscriber.settled == ["extended by 1"]


async def test_heart_beats_on_when_a_beat_has_a_defect(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    extend, failures = stage.subscriber.extend_lease, [ZeroDivisionError("a defect")]

    async def extend_after_a_defect(ack_ids: Sequence[str], lease_seconds: int) -> None:
        if failures:
            raise failures.pop()
        await extend(ack_ids, lease_seconds)

    monkeypatch.setattr(stage.subscriber, "extend_lease", extend_after_a_defect)
    await stage.publish()
    handler = blocking(1)
    async with stage.consuming(handler):
        await eventually("beats go on", lambda: len(stage.subscriber.history) > 2)
        handler.gate.set()
        await eventually("it is done", lambda: handler.finished)


async def test_queue_counts_as_empty_only_after_a_pull_that_brought_nothing(stage: Stage) -> None:
    handler = blocking(LIMITS.slots)
    async with stage.consuming(handler) as consumer:
        await eventually("nothing is there", lambda: consumer.found_nothing)
        await stage.publish(*[a_message() for _ in range(LIMITS.slots)])
        await eventually("all slots are taken", lambda: len(handler.started) == LIMITS.slots)
        assert not consumer.found_nothing
        handler.gate.set()
        await eventually("nothing is left", lambda: consumer.found_nothing)
        stage.broker.forget_everything()
        await eventually("nobody knows", lambda: not consumer.found_nothing)
        stage.make_topology()
