"""Workers are told to stop, or are frozen past their lease: they leave in order, and whoever wakes late changes nothing."""

import signal
import sqlite3
from pathlib import Path

from tests.support.chaos_drill import Drills
from tests.support.chaos_parts import ForkedWorker
from tests.support.emulator import Emulator
from tests.support.waiting import wait_until

COMPLETED = "feedback.completed.v1"


def test_workers_leave_in_order_and_lose_nothing_when_told_to_stop_under_load(
    drills: Drills, emulator: Emulator, full: bool
) -> None:
    requests, stops, slots = (1000, 20, 8) if full else (120, 5, 8)
    drill = drills.start("F12 SIGTERM under load", emulator, drain_seconds="3", engine_seconds=1.0)
    drill.start_workers(2)
    ids = drill.client.publish(range(requests))
    while drill.faults < stops and drill.until_generating(ids):
        told = drill.dice.choice([worker for worker in drill.workers if worker.is_up()])
        told.signal(signal.SIGTERM)
        drill.replace(told)
        assert told.wait() == 0
        drill.faults += 1
    found = drill.settle(ids)
    assert found.faults == {}
    assert found.outcomes == {COMPLETED: requests}
    assert drill.faults == stops
    assert sum(drill.engine.generations().values()) <= requests + stops * slots
    assert "Traceback" not in drill.fleet.log.read_text()


def freeze(worker: ForkedWorker, database: Path) -> None:
    """Stop the process between two transactions: one that held SQLite's only write lock would stop all the others too."""

    def frozen_without_the_lock() -> bool:
        worker.signal(signal.SIGSTOP)
        try:
            with sqlite3.connect(database, timeout=0.5) as connection:
                connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            worker.signal(signal.SIGCONT)
            return False
        return True

    wait_until("the worker is frozen without the write lock", frozen_without_the_lock)


def test_frozen_workers_late_outcomes_are_dropped(
    drills: Drills, emulator: Emulator, full: bool, tmp_path: Path
) -> None:
    requests = 100 if full else 16
    database = tmp_path / "frozen.db"
    drill = drills.start(
        "F10 worker frozen past its lease",
        emulator,
        database_url=f"sqlite+aiosqlite:///{database}",
        engine_seconds=1.0,
        lease_seconds="3",
    )
    frozen = drill.fleet.start_and_wait()
    ids = drill.client.publish(range(requests))
    drill.until_generating(ids, at_least=4)
    freeze(frozen, database)
    drill.faults = 1
    drill.start_workers(1)
    assert drill.client.wait_for(ids, seconds=180), "the other worker takes over"
    frozen.signal(signal.SIGCONT)
    more = drill.client.publish(range(requests, requests + 8))
    assert drill.client.wait_for(more, seconds=180)
    frozen.signal(signal.SIGTERM)
    assert frozen.wait() == 0, "it has come to its senses and told all that it had to tell"
    found = drill.verdict()
    assert found.faults == {}
    assert found.outcomes == {COMPLETED: requests + 8}
