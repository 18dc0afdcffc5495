"""One drill: its parts, its client, its dice, and the figures that it leaves behind."""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.support.chaos_client import ChaosClient
from tests.support.chaos_history import History, Verdict, judge
from tests.support.chaos_parts import ChaosEngine, Fleet, ForkedWorker, Nursery
from tests.support.emulator import Emulator
from tests.support.pubsub_rest import PubSubOverRest
from tests.support.waiting import wait_until

# Long enough for a machine that has other things to do; a drill that passes never waits for it.
PATIENCE_SECONDS = 300.0
# A kill may come as soon as there is work to interrupt.
_SETTINGS = {
    "slots": "8",
    "lease_seconds": "6",
    "drain_seconds": "5",
    "sweep_every_seconds": "1",
    "requeue_after_seconds": "20",
    # A drill kills the same request more often than an operator would stand: that ends another drill, not this one.
    "max_attempts": "50",
}


# One line of the table that a run of the drills prints; plain, so that it can come from another process.
Figures = dict[str, Any]


@dataclass
class Drill:
    """A running set of parts. `dice` is seeded by the run's seed and the drill's name."""

    name: str
    seed: int
    emulator: Emulator
    engine: ChaosEngine
    fleet: Fleet
    client: ChaosClient
    pubsub: PubSubOverRest
    report: list[Figures]
    closing: ExitStack
    dice: random.Random = field(init=False)
    faults: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(f"{self.seed}/{self.name}")
        self.started = time.monotonic()

    @property
    def workers(self) -> list[ForkedWorker]:
        return self.fleet.workers

    def start_workers(self, count: int, **settings: str) -> None:
        started = [self.fleet.start(faults=None, **settings) for _ in range(count)]
        for worker in started:
            wait_until("a worker answers", worker.is_up, seconds=60)

    def replace(self, worker: ForkedWorker) -> ForkedWorker:
        """Start another worker in the place of one that has ended."""
        replacement = self.fleet.start()
        self.workers.remove(worker)
        return replacement

    def until_generating(self, ids: Sequence[str], at_least: int = 1) -> bool:
        """Wait until the engine works for somebody; False when all requests are over."""
        return (
            wait_until(
                "the engine generates, or all is over",
                lambda: (
                    ("busy" if self.engine.running() >= at_least else "")
                    or ("over" if not self.client.open_requests(ids) else "")
                ),
                seconds=PATIENCE_SECONDS,
            )
            == "busy"
        )

    def settle(
        self,
        ids: Sequence[str],
        *,
        seconds: float = PATIENCE_SECONDS,
        meanwhile: Callable[[], None] | None = None,
    ) -> Verdict:
        """Wait for the outcomes of `ids`, note what the service says of those without one, and judge the history."""
        if not self.client.wait_for(ids, seconds=seconds, meanwhile=meanwhile):
            up = next((worker for worker in self.workers if worker.exit_code is None), None)
            if up is not None:
                self.client.note_states(sorted(self.client.open_requests(ids)), up.url)
        return self.verdict()

    def verdict(self) -> Verdict:
        verdict = judge(self.client.history.entries())
        generations = sum(self.engine.generations().values())
        self.report.append(
            {
                "drill": self.name,
                "requests": verdict.accepted,
                "faults": self.faults,
                "seconds": round(verdict.seconds, 1),
                "lost": len(verdict.lost),
                "stuck": len(verdict.stuck),
                "doubled": len(verdict.doubled),
                "unexplained": len(verdict.unexplained),
                "repeats": verdict.repeats,
                "calls/request": round(generations / max(verdict.accepted, 1), 2),
            }
        )
        return verdict


class Drills:
    """Makes drills for one test, each with topics, database and history of its own."""

    def __init__(self, folder: Path, nursery: Nursery, seed: int, report: list[Figures]) -> None:
        self._folder, self._nursery, self._seed, self._report = folder, nursery, seed, report
        self._closing = ExitStack()

    def start(
        self,
        name: str,
        emulator: Emulator,
        *,
        database_url: str = "",
        engine_seconds: float = 0.3,
        topics: Callable[[PubSubOverRest], Any] | None = None,
        **settings: str,
    ) -> Drill:
        """Start engine and client; workers are the test's. `topics` makes some in another way than the product does."""
        project = f"chaos-{uuid4().hex[:8]}"
        folder = self._folder / project
        folder.mkdir()
        engine = ChaosEngine(folder, seconds=engine_seconds)
        self._closing.callback(engine.close)
        engine.start()
        fleet = Fleet(
            self._nursery,
            folder,
            emulator_host=emulator.host,
            project=project,
            database_url=database_url or f"sqlite+aiosqlite:///{folder}/feedback.db",
            inference_url=engine.url,
            **{**_SETTINGS, **settings},
        )
        self._closing.callback(fleet.close)
        pubsub = PubSubOverRest(emulator.host, project)
        if topics is not None:
            topics(pubsub)
        fleet.run("topology")
        fleet.run("migrate")
        client = ChaosClient(pubsub, History(folder / "history.jsonl"), project.removeprefix("chaos-"))
        self._closing.callback(client.close)
        print(f"drill {name}: seed {self._seed}, history {folder}/history.jsonl")  # noqa: T201 - shown when it fails
        return Drill(name, self._seed, emulator, engine, fleet, client, pubsub, self._report, self._closing)

    def close(self) -> None:
        self._closing.close()
