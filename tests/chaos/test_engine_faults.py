"""The engine refuses, hangs, breaks and cuts its answers: requests wait, nobody is buried, and it is not stormed meanwhile."""

import time
from collections.abc import Callable

from tests.support.chaos_drill import Drill, Drills
from tests.support.emulator import Emulator
from tests.support.waiting import wait_until

COMPLETED = "feedback.completed.v1"
WORKERS = 2


def dead_letters(drill: Drill) -> list[str]:
    return [letter.attributes["tandem-dead-code"] for letter in drill.pubsub.take("drill-dead")]


def last_for(seconds: float, look: Callable[[], object]) -> None:
    """Let a fault last: keep looking at the engine until the time is over."""
    until = time.monotonic() + seconds
    wait_until("the fault has lasted", lambda: (look(), time.monotonic() > until)[1], seconds=seconds + 60)


def test_requests_wait_out_an_engine_that_misbehaves_in_every_way(
    drills: Drills, emulator: Emulator, full: bool
) -> None:
    requests, lasting = (300, 30.0) if full else (40, 3.0)
    drill = drills.start("F9 engine refuses, hangs, breaks, cuts", emulator, engine_seconds=0.1)
    drill.pubsub.subscribe("drill-dead", "feedback-requests-dead")
    drill.start_workers(WORKERS)
    ids = drill.client.publish(range(requests))
    drill.until_generating(ids)

    drill.engine.kill()
    last_for(lasting, lambda: None)
    drill.engine.start()
    for mode in ("away", "hang", "cut", "broken"):
        drill.engine.behave(mode)
        since = time.monotonic()
        last_for(lasting, drill.engine.running)
        drill.engine.behave("serve")
        drill.faults += 1
        if mode == "away":  # asked by a job at a time, and not by each that waits
            asked = len(drill.engine.calls("asked", since=since + 1.0))
            assert asked <= WORKERS * (time.monotonic() - since + 2.0)
    drill.faults += 1

    found = drill.settle(ids)
    assert found.faults == {}
    assert found.outcomes == {COMPLETED: requests}
    assert dead_letters(drill) == []
