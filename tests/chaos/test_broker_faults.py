"""The broker stops answering, forgets everything, or delivers too often: nothing is lost and nothing is done twice for the reader."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.chaos_drill import Drills
from tests.support.emulator import Emulator
from tests.support.pubsub_rest import PubSubOverRest
from tests.support.waiting import wait_until

COMPLETED = "feedback.completed.v1"


def test_requests_taken_over_http_while_the_broker_does_not_answer_all_end_once(
    drills: Drills, own_emulator: Emulator, full: bool
) -> None:
    requests = 500 if full else 60
    drill = drills.start("F4 broker stopped, HTTP open", own_emulator, engine_seconds=0.05)
    worker = drill.fleet.start_and_wait()
    first = drill.client.publish(range(10))
    assert drill.client.wait_for(first, seconds=60)
    own_emulator.pause()
    drill.faults = 1
    ids = [drill.client.post(lambda: worker.url, number) for number in range(10, requests)]
    wait_until("the relay has met the outage", lambda: "outbox.publish_failed" in worker.log.read_text())
    own_emulator.resume()
    found = drill.settle([*first, *ids])
    assert found.faults == {}
    assert found.outcomes == {COMPLETED: requests}
    assert found.accepted == requests, "every request was taken although the broker was away"


def test_requests_in_flight_end_once_when_the_broker_comes_back_empty(
    drills: Drills, own_emulator: Emulator, full: bool
) -> None:
    requests = 500 if full else 80
    drill = drills.start(
        "F5 broker killed, comes back empty", own_emulator, requeue_after_seconds="3", engine_seconds=0.3
    )
    drill.start_workers(2)
    ids = drill.client.publish(range(requests))
    drill.until_generating(ids)
    own_emulator.restart()
    drill.faults = 1

    def ask_again() -> None:
        """Chat's sweeper, which knows of requests that no worker had seen, and of results that nobody had read."""
        if drill.dice.random() < 0.2:
            drill.client.publish_again()

    found = drill.settle(ids, meanwhile=ask_again)
    assert found.faults == {}
    assert found.outcomes == {COMPLETED: requests}


def as_the_product_does(pubsub: PubSubOverRest) -> None:
    """Leave the topics to the service's own command."""


def exactly_once_and_ordered(pubsub: PubSubOverRest) -> None:
    """Make the workers' subscription as an operator may who pays for more promises."""
    project = pubsub._root.split("/v1/")[1]
    for topic in ("feedback-requests", "feedback-requests-dead"):
        pubsub._call("PUT", f"topics/{topic}", {})
    options = {
        "topic": f"{project}/topics/feedback-requests",
        "ackDeadlineSeconds": 20,
        "enableExactlyOnceDelivery": True,
        "enableMessageOrdering": True,
    }
    pubsub._call("PUT", "subscriptions/feedback-requests-worker", options)


@pytest.mark.parametrize("topics", [as_the_product_does, exactly_once_and_ordered])
def test_request_is_judged_once_when_it_is_published_five_times(
    drills: Drills,
    emulator: Emulator,
    postgres_url: str,
    full: bool,
    topics: Callable[[PubSubOverRest], Any],
) -> None:
    requests = 500 if full else 60
    drill = drills.start(
        f"F6 published five times, {topics.__name__.replace('_', ' ')}",
        emulator,
        # SQLite's one write lock can be waited for in vain on a busy machine, and a result that finds it taken is
        # generated again.
        database_url=postgres_url,
        topics=topics,
        engine_seconds=0.1,
        lease_seconds="20",
    )
    drill.start_workers(2)
    ids = drill.client.publish(range(requests), times=5)
    drill.faults = requests * 4
    found = drill.settle(ids)
    assert found.faults == {}
    assert found.outcomes == {COMPLETED: requests}
    assert sum(drill.engine.generations().values()) <= requests * 1.01


def test_outcomes_are_told_once_or_again_but_never_differently_when_answers_to_publishes_are_lost(
    drills: Drills, emulator: Emulator, full: bool
) -> None:
    requests = 500 if full else 60
    drill = drills.start("F7 a fifth of publish answers lost", emulator, engine_seconds=0.05)
    worker = drill.fleet.start_and_wait(faults={"lose_publish_answers": 0.2, "seed": drill.seed}, slots="2")
    ids = drill.client.publish(range(requests))
    drill.client.wait_for(ids, seconds=120)
    drill.faults = worker.log.read_text().count("the answer was lost on its way")
    found = drill.settle(ids)
    assert found.faults == {}
    assert found.outcomes == {COMPLETED: requests}
    assert drill.faults > 0
