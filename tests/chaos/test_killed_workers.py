"""Workers die at any moment, one after another: what was accepted ends once, and the engine's work is not thrown away often."""

from tests.support.chaos_drill import Drill, Drills
from tests.support.chaos_faults import CRASH_POINTS, PLANNED_DEATH
from tests.support.emulator import Emulator

WORKERS = 3
COMPLETED = "feedback.completed.v1"


def kill_in_turn(drill: Drill, ids: list[str], kills: int) -> None:
    """Kill a worker that is up while the engine generates, put another one in its place, and so on."""
    while drill.faults < kills and drill.until_generating(ids):
        up = [worker for worker in drill.workers if worker.is_up()]
        if not up:
            continue
        victim = drill.dice.choice(up)
        victim.kill()
        drill.faults += 1
        drill.replace(victim)


def test_every_request_ends_once_when_workers_are_killed_while_generating(
    drills: Drills, emulator: Emulator, database_url: str, full: bool
) -> None:
    requests, kills = (1000, 50) if full else (100, 8)
    drill = drills.start(
        f"F1 kill -9 workers, {database_url.partition('+')[0]}", emulator, database_url=database_url
    )
    drill.start_workers(WORKERS)
    ids = drill.client.publish(range(requests))
    kill_in_turn(drill, ids, kills)
    found = drill.settle(ids)
    assert found.faults == {}
    assert found.outcomes == {COMPLETED: requests}
    assert drill.faults == kills, "all was over before all workers were killed: give the engine more to do"
    assert sum(drill.engine.generations().values()) <= requests + kills * 8, (
        "at most a worker's slots per kill"
    )


def test_every_request_ends_once_when_workers_die_at_each_step_of_their_work(
    drills: Drills, emulator: Emulator, full: bool
) -> None:
    requests = (20 if full else 8) * len(CRASH_POINTS)
    drill = drills.start("F3 death at each step", emulator, engine_seconds=0.1)
    doomed = {
        point: drill.fleet.start(faults={"crash_at": point, "on_pass": drill.dice.randint(1, 2)}, slots="2")
        for point in CRASH_POINTS
    }
    ids = drill.client.publish(range(requests))
    died = {point: worker.wait(seconds=120) for point, worker in doomed.items()}
    drill.faults = len(died)
    assert died == dict.fromkeys(CRASH_POINTS, PLANNED_DEATH)
    drill.workers.clear()
    drill.start_workers(1)
    found = drill.settle(ids)
    assert found.faults == {}
    assert found.outcomes == {COMPLETED: requests}
