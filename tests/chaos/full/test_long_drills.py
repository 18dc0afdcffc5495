"""Drills that need minutes: databases that restart, clocks that disagree, jobs longer than any lease, and all faults in turn."""

import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.chaos_drill import Drill, Drills
from tests.support.emulator import Emulator
from tests.support.postgres import PostgresServer, find_binaries
from tests.support.waiting import wait_until

COMPLETED = "feedback.completed.v1"
SOAK_SECONDS = 120.0


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    binaries = find_binaries()
    assert binaries is not None
    server = PostgresServer(binaries)
    try:
        server.start()
        yield server
    finally:
        server.remove()


def test_every_202_ends_once_when_postgres_crashes_and_comes_back(
    drills: Drills, emulator: Emulator, own_postgres: PostgresServer
) -> None:
    requests, crashes = 500, 5
    url = own_postgres.url(own_postgres.create_database())
    drill = drills.start("F13 Postgres crashes", emulator, database_url=url, engine_seconds=0.1, slots="4")
    drill.start_workers(2)
    ids = []
    for number in range(requests):
        if number % (requests // crashes) == requests // crashes // 2:
            crash(own_postgres)
            drill.faults += 1
        ids.append(drill.client.post(lambda: drill.workers[0].url, number))
    found = drill.settle(ids)
    assert found.faults == {}
    assert found.accepted == requests
    assert found.outcomes == {COMPLETED: requests}


def crash(server: PostgresServer) -> None:
    """Let it go down as Postgres itself does when it must: at once, leaving its recovery to the next start."""
    assert server._process is not None
    server._process.send_signal(signal.SIGQUIT)
    server._process.wait(timeout=60)
    server.start()


def test_workers_whose_clocks_disagree_by_hours_double_nothing(
    drills: Drills, emulator: Emulator, postgres_url: str
) -> None:
    requests = 200
    drill = drills.start("F21 clocks an hour apart", emulator, database_url=postgres_url, engine_seconds=0.2)
    for offset in (-3600, 0, 3600):
        drill.fleet.start_and_wait(faults={"clock_offset_seconds": offset}, slots="4")
        drill.faults += 1
    ids = drill.client.publish(range(requests), times=2)
    found = drill.settle(ids)
    assert found.faults == {}
    assert found.outcomes == {COMPLETED: requests}
    assert sum(drill.engine.generations().values()) <= requests * 1.01


def test_job_far_longer_than_its_lease_is_generated_once(drills: Drills, emulator: Emulator) -> None:
    requests = 20
    drill = drills.start(
        "F11 jobs of 65 s, lease of 10 s", emulator, engine_seconds=65.0, lease_seconds="10", slots="10"
    )
    drill.start_workers(2)
    ids = drill.client.publish(range(requests))
    found = drill.settle(ids)
    assert found.faults == {}
    assert found.outcomes == {COMPLETED: requests}
    assert set(drill.engine.generations().values()) == {1}


def test_nothing_is_lost_when_one_fault_follows_another(drills: Drills, own_emulator: Emulator) -> None:
    drill = drills.start("F23 one fault after another", own_emulator, requeue_after_seconds="5")
    drill.start_workers(3)
    ids: list[str] = []
    until = time.monotonic() + SOAK_SECONDS
    while time.monotonic() < until:
        ids += drill.client.publish(range(len(ids), len(ids) + 30))
        drill.until_generating(ids)
        drill.dice.choice(FAULTS)(drill)
        drill.faults += 1
    drill.start_workers(1)
    found = drill.settle(ids, meanwhile=drill.client.publish_again)
    assert found.faults == {}
    assert found.outcomes == {COMPLETED: len(ids)}


def kill_a_worker(drill: Drill) -> None:
    victim = drill.dice.choice(drill.workers)
    victim.kill()
    drill.replace(victim)


def stop_a_worker(drill: Drill) -> None:
    told = drill.dice.choice([worker for worker in drill.workers if worker.is_up()])
    told.signal(signal.SIGTERM)
    assert told.wait() == 0
    drill.replace(told)


def pause_the_broker(drill: Drill) -> None:
    drill.emulator.pause()
    pass_time(drill.dice.uniform(1, 4))
    drill.emulator.resume()


def empty_the_broker(drill: Drill) -> None:
    drill.emulator.restart()
    wait_until("the topics are there again", lambda: _publishes(drill), seconds=60)


def kill_the_engine(drill: Drill) -> None:
    drill.engine.kill()
    pass_time(drill.dice.uniform(1, 4))
    drill.engine.start()


def make_the_engine_hang(drill: Drill) -> None:
    drill.engine.behave("hang")
    pass_time(drill.dice.uniform(1, 4))
    drill.engine.behave("serve")


FAULTS: tuple[Callable[[Drill], None], ...] = (
    kill_a_worker,
    stop_a_worker,
    pause_the_broker,
    empty_the_broker,
    kill_the_engine,
    make_the_engine_hang,
)


def pass_time(seconds: float) -> None:
    """Let a fault last."""
    until = time.monotonic() + seconds
    wait_until("the fault has lasted", lambda: time.monotonic() > until, seconds=seconds + 60)


def _publishes(drill: Drill) -> bool:
    try:
        drill.client.publish_again()
    except OSError:
        return False
    return True
