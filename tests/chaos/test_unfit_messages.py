"""Messages that nobody can read or serve stand among good ones: those end well, these end explained, and nobody waits for them."""

import base64
import json
from typing import Any

from tests.support.chaos_drill import Drill, Drills
from tests.support.emulator import Emulator
from tests.support.waiting import wait_until

COMPLETED, FAILED = "feedback.completed.v1", "feedback.failed.v1"
REQUESTED = {"ce-type": "feedback.requested.v1", "content-type": "application/json"}


def publish(drill: Drill, data: bytes, **attributes: str) -> None:
    told = REQUESTED | {name.replace("_", "-"): text for name, text in attributes.items()}
    message = {"data": base64.b64encode(data).decode(), "attributes": told}
    drill.pubsub._call("POST", "topics/feedback-requests:publish", {"messages": [message]})


def unfit(drill: Drill, number: int) -> tuple[bytes, dict[str, str]]:
    """Make a message that no worker can read; the dice say in which way."""
    body = json.dumps(drill.client.body(100_000 + number)).encode()
    return drill.dice.choice(
        [
            (body[: drill.dice.randrange(1, len(body))], {}),
            (drill.dice.randbytes(drill.dice.randrange(1, 500)), {}),
            (body.replace(b"drill-", b"drill \\u0000"), {}),
            (body, {"ce_type": "feedback.requested.v99"}),
            (b"[" * drill.dice.randrange(10, 10_000), {}),
        ]
    )


def test_good_requests_are_done_and_each_unfit_message_is_kept_with_its_reason(
    drills: Drills, emulator: Emulator, full: bool
) -> None:
    good, bad = (500, 200) if full else (60, 20)
    drill = drills.start("F8 unreadable among good", emulator, engine_seconds=0.1)
    dead = drill.pubsub.subscribe("drill-dead", "feedback-requests-dead")
    drill.start_workers(2)
    sent = []
    for number in range(bad):
        data, attributes = unfit(drill, number)
        publish(drill, data, **attributes)
        sent.append(data)
    drill.faults = bad
    ids = drill.client.publish(range(good))
    found = drill.settle(ids)
    assert found.faults == {}
    assert found.outcomes == {COMPLETED: good}
    wait_until("every unfit message is buried", lambda: len(dead.look()) >= bad, seconds=60)
    assert sorted(letter.data for letter in dead.letters) == sorted(sent)
    assert all(letter.attributes["tandem-dead-reason"] for letter in dead.letters)


def test_requests_that_always_break_the_engine_fail_explained_and_hold_up_nobody(
    drills: Drills, emulator: Emulator
) -> None:
    good, bad = 40, 10
    drill = drills.start("F8 requests that break the engine", emulator, engine_seconds=0.1, max_attempts="2")
    dead = drill.pubsub.subscribe("drill-dead", "feedback-requests-dead")
    drill.start_workers(2, slots="2")
    poison = drill.client.publish(range(1000, 1000 + bad), change=breaking)
    ids = drill.client.publish(range(good))
    drill.faults = bad
    found = drill.settle([*poison, *ids])
    assert found.faults == {}
    assert found.outcomes == {COMPLETED: good, FAILED: bad}
    wait_until("every one is buried", lambda: len(dead.look()) >= bad, seconds=60)
    assert {letter.attributes["tandem-dead-code"] for letter in dead.letters} == {"too_many_attempts"}
    assert {letter.json["request_id"] for letter in dead.letters} == set(poison)


def breaking(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"transcript": [{"role": "user", "content": f"poison ({body['request_id']})"}]}


def from_a_newer_chat(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"a_field_of_tomorrow": {"of": ["any", "shape"]}}


def test_requests_of_a_newer_chat_are_done_by_this_worker(drills: Drills, emulator: Emulator) -> None:
    drill = drills.start("F25 requests of a newer chat", emulator, engine_seconds=0.0)
    drill.start_workers(1)
    ids = drill.client.publish(range(40), change=from_a_newer_chat)
    found = drill.settle(ids)
    assert found.faults == {}
    assert found.outcomes == {COMPLETED: 40}
