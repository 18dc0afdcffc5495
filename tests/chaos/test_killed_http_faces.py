"""The process that takes requests over HTTP is killed again and again: every 202 was true, and asking again asks for nothing new."""

import sqlite3
import threading
from functools import partial
from pathlib import Path

from tests.support.chaos_drill import Drills
from tests.support.emulator import Emulator
from tests.support.waiting import wait_until

COMPLETED = "feedback.completed.v1"


def are_taken(ids: list[str], number: int) -> bool:
    return len(ids) >= number


def test_every_202_ends_once_when_its_giver_is_killed_and_the_caller_asks_again(
    drills: Drills, emulator: Emulator, full: bool, tmp_path: Path
) -> None:
    requests, kills = (1000, 40) if full else (60, 4)
    database = tmp_path / "killed.db"
    drill = drills.start(
        "F2, F14 kill -9 HTTP face and relay",
        emulator,
        database_url=f"sqlite+aiosqlite:///{database}",
        engine_seconds=0.05,
    )
    drill.start_workers(1)
    ids: list[str] = []

    def ask_for_all() -> None:
        ids.extend(
            drill.client.post(lambda: drill.workers[-1].url, number, seconds=120)
            for number in range(requests)
        )

    asking = threading.Thread(target=ask_for_all)
    asking.start()
    try:
        for taken in sorted(drill.dice.sample(range(1, requests), kills)):
            wait_until("more is taken", partial(are_taken, ids, taken), seconds=120)
            drill.workers[-1].kill()
            drill.faults += 1
            drill.replace(drill.workers[-1])
    finally:
        asking.join()
    found = drill.settle(ids)
    assert found.faults == {}
    assert found.accepted == requests
    assert found.outcomes == {COMPLETED: requests}
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (requests,)
