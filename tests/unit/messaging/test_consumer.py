"""The consumer decides each message's fate by what its handler does, and never loses or hoards one."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from tandem_contracts.envelope import Envelope
from tandem_messaging import consumer as consumer_module
from tandem_messaging.errors import BrokerUnavailableError, PermanentError, TransientError
from tandem_messaging.ports import OutgoingMessage, ReceivedMessage
from tests.support.consumer_stage import ACK_DEADLINE_SECONDS, LIMITS, READER, Handler, Stage, blocking
from tests.support.eventually import eventually
from tests.support.feedback_builders import a_message, a_request


async def test_no_more_is_held_than_there_are_slots_when_they_free_up_one_by_one(stage: Stage) -> None:
    turns = asyncio.Semaphore(0)
    running, done, peak = 0, 0, 0

    async def handle(_: Envelope) -> None:
        nonlocal running, done, peak
        running += 1
        peak = max(peak, running)
        await turns.acquire()
        running -= 1
        done += 1

    def reached(running_now: int, done_now: int) -> Callable[[], bool]:
        return lambda: (running, done) == (running_now, done_now)

    await stage.publish(*[a_message() for _ in range(8)])
    async with stage.consuming(handle):
        for finished in range(9):
            await eventually("slots are full again", reached(min(LIMITS.slots, 8 - finished), finished))
            turns.release()
    assert peak == LIMITS.slots
    assert len(stage.subscriber.pulled) == 8
    assert min(stage.subscriber.asked) >= 1


async def test_acknowledgement_comes_last_when_the_handler_succeeds(stage: Stage) -> None:
    await stage.publish()
    handler = blocking(1)
    async with stage.consuming(handler):
        await eventually("the handler runs", lambda: handler.started)
        assert stage.subscriber.settled == []
        handler.gate.set()
        await eventually("it is acknowledged", lambda: stage.subscriber.settled == ["acknowledged"])
    assert handler.finished


async def test_message_is_held_and_never_buried_when_waiting_helps(stage: Stage) -> None:
    await stage.publish()
    handler = Handler(*[TransientError("engine starting")] * 4)
    async with stage.consuming(handler):
        await eventually("it is done in the end", lambda: stage.subscriber.settled)
    assert stage.subscriber.settled == ["acknowledged"]
    assert len(handler.started) == 5
    assert len(stage.subscriber.pulled) == 1
    assert stage.dead == []


async def test_retry_after_is_honoured_when_the_error_names_it(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await stage.publish()
    async with stage.consuming(Handler(TransientError("full", retry_after=0.3))):
        await eventually("it is done in the end", lambda: stage.subscriber.settled)
    (waiting,) = [record for record in caplog.records if record.message == "consumer.waiting"]
    assert vars(waiting)["retry_in_seconds"] >= 0.3


async def test_wait_is_bounded_whatever_the_error_asks_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "_MAX_BACKOFF_SECONDS", 0.02)
    await stage.publish()
    async with stage.consuming(Handler(TransientError("full", retry_after=1e9))):
        await eventually("it is done in the end", lambda: stage.subscriber.settled)
    assert stage.subscriber.settled == ["acknowledged"]


async def test_message_is_buried_then_acknowledged_when_the_error_is_permanent(stage: Stage) -> None:
    await stage.publish()
    async with stage.consuming(Handler(PermanentError("another body"))):
        await eventually("it is settled", lambda: "acknowledged" in stage.subscriber.settled)
    assert stage.subscriber.settled == ["buried", "acknowledged"]
    assert stage.dead == ["another body"]


@pytest.mark.parametrize(
    ("data", "attributes", "reason"),
    [
        (b"{}", {}, "ce-type"),
        (b"{}", {"ce-type": "feedback.requested.v99"}, "feedback.requested.v99"),
        (b"no json", {"ce-type": "feedback.requested.v1"}, "JSON"),
        (b'{"request_id": 7}', {"ce-type": "feedback.requested.v1"}, "request_id"),
    ],
)
async def test_message_is_buried_with_the_reason_when_it_cannot_be_read(
    stage: Stage, data: bytes, attributes: dict[str, str], reason: str
) -> None:
    await stage.publish(OutgoingMessage(data, attributes), a_message())
    handler = Handler()
    async with stage.consuming(handler):
        await eventually("both are settled", lambda: stage.subscriber.settled.count("acknowledged") == 2)
    assert [reason in told for told in stage.dead] == [True]
    assert len(handler.finished) == 1


async def test_message_stays_held_when_the_dead_letters_cannot_be_reached(stage: Stage) -> None:
    await stage.publish()
    refusals = [BrokerUnavailableError("away")] * 2

    async def bury(message: ReceivedMessage, error: Exception) -> None:
        if refusals:
            raise refusals.pop()
        await stage.bury(message, error)

    async with stage.consuming(Handler(PermanentError("poison")), dead_letter=bury):
        await eventually("it is settled", lambda: "acknowledged" in stage.subscriber.settled)
    assert stage.subscriber.settled == ["buried", "acknowledged"]
    assert len(stage.subscriber.pulled) == 1


async def test_message_comes_back_later_and_the_loop_lives_when_the_handler_has_a_defect(
    stage: Stage,
) -> None:
    broken, good = a_request(), a_request()
    await stage.publish(a_message(broken))
    handler = Handler(ZeroDivisionError("a defect"))
    async with stage.consuming(handler):
        await eventually("it is given back", lambda: stage.subscriber.settled)
        assert stage.subscriber.settled == ["extended by 1"]
        await stage.publish(a_message(good))
        await eventually("the next one is done", lambda: handler.finished == [good.request_id])
        await eventually("it came back", lambda: broken.request_id in handler.finished)
    assert stage.dead == []


async def test_long_work_is_not_delivered_again_while_the_heart_beats(stage: Stage) -> None:
    await stage.publish()
    handler = blocking(2)
    async with stage.consuming(handler):
        beats = int(3 * ACK_DEADLINE_SECONDS / LIMITS.beat_seconds)
        await eventually("the lease outlived", lambda: len(stage.subscriber.history) > beats)
        handler.gate.set()
        await eventually("it is done", lambda: stage.subscriber.settled)
    assert len(handler.started) == 1


async def test_heart_beats_on_when_one_beat_fails(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    extend, failures = stage.subscriber.extend_lease, [BrokerUnavailableError("away")]

    async def extend_after_a_failure(ack_ids: Sequence[str], lease_seconds: int) -> None:
        if failures:
            raise failures.pop()
        await extend(ack_ids, lease_seconds)

    monkeypatch.setattr(stage.subscriber, "extend_lease", extend_after_a_failure)
    await stage.publish()
    handler = blocking(2)
    async with stage.consuming(handler):
        await eventually("beats go on", lambda: len(stage.subscriber.history) > 2)
        handler.gate.set()
        await eventually("it is done", lambda: stage.subscriber.settled)
    assert len(handler.started) == 1


async def test_acknowledgement_that_fails_does_no_harm(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    acknowledge, failures = stage.subscriber.acknowledge, [BrokerUnavailableError("away")]

    async def acknowledge_after_a_failure(ack_ids: Sequence[str]) -> None:
        if failures:
            raise failures.pop()
        await acknowledge(ack_ids)

    monkeypatch.setattr(stage.subscriber, "acknowledge", acknowledge_after_a_failure)
    await stage.publish()
    handler = Handler()
    async with stage.consuming(handler):
        await eventually("it is acknowledged the second time", lambda: stage.subscriber.settled)
    assert len(handler.finished) == 2


async def test_drain_finishes_what_it_can_gives_back_the_rest_and_pulls_no_more(stage: Stage) -> None:
    quick, slow, late = a_request(), a_request(), a_request()
    go = asyncio.Event()

    async def handle(envelope: Envelope) -> None:
        await (go.wait() if envelope.event.request_id == quick.request_id else asyncio.Event().wait())

    await stage.publish(a_message(quick), a_message(slow))
    async with stage.consuming(handle) as consumer:
        await eventually("both are held", lambda: len(stage.subscriber.pulled) == 2)
        draining = asyncio.create_task(consumer.drain())
        await eventually("it has stopped pulling", consumer._stopped.is_set)
        asked = len(stage.subscriber.asked)
        await stage.publish(a_message(late))
        go.set()
        await draining
        assert stage.subscriber.settled == ["acknowledged", "released"]
        assert len(stage.subscriber.asked) == asked
    left = {str(a.data) for a in await stage.broker.pull(READER, 10)}
    assert all(any(r.request_id in text for text in left) for r in (slow, late))
    assert len(left) == 2


async def test_drain_does_not_wait_for_a_pull_when_every_slot_is_taken(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "_LAST_PULL_SECONDS", 3600)
    await stage.publish(*[a_message() for _ in range(LIMITS.slots)])
    handler = blocking(LIMITS.slots)
    async with stage.consuming(handler) as consumer:
        await eventually("all slots are taken", lambda: len(handler.started) == LIMITS.slots)
        await asyncio.wait_for(consumer.drain(), timeout=5)
    assert stage.subscriber.settled == ["released"] * LIMITS.slots


async def test_pulling_goes_on_when_the_broker_was_away(stage: Stage) -> None:
    stage.subscriber.broken_calls = 3
    await stage.publish()
    handler = Handler()
    async with stage.consuming(handler):
        await eventually("the message is done", lambda: handler.finished)


async def test_topology_is_remade_when_the_broker_forgot_it(stage: Stage) -> None:
    remade: list[str] = []

    async def remake() -> None:
        if not remade:
            remade.append("failed")
            raise BrokerUnavailableError("still starting")
        remade.append("made")
        stage.make_topology()

    handler = Handler()
    async with stage.consuming(handler, make_topology=remake):
        stage.broker.forget_everything()
        await eventually("the topology is there again", lambda: "made" in remade)
        await stage.publish()
        await eventually("a message is done", lambda: handler.finished)
    assert remade == ["failed", "made"]
