"""The parts of a drill that run as processes: the engine that can be told to misbehave, and workers forked by the nursery."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.bound_process import bound_to_this_process
from tests.support.ports import free_port
from tests.support.waiting import wait_until

SUPPORT = Path(__file__).parent
START_SECONDS = 120.0


class ChaosEngine:
    """The engine's process; killed and started again it keeps its address and what it has noted."""

    def __init__(self, folder: Path, *, seconds: float = 0.0) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._calls = folder / "engine-calls.jsonl"
        self._log = folder / "engine.log"
        self._seconds = seconds
        self._http = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = ["--port", str(self.port), "--calls", str(self._calls), "--seconds", str(self._seconds)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*bound_to_this_process(signal.SIGKILL), sys.executable, SUPPORT / "chaos_engine.py", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until("the engine listens", self._listens, seconds=START_SECONDS)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        self.kill()
        self._http.close()

    def behave(self, mode: str) -> None:
        self._http.post("/chaos/mode", json=mode).raise_for_status()

    def pace(self, seconds: float) -> None:
        self._http.post("/chaos/pace", json=seconds).raise_for_status()

    def running(self) -> int:
        return int(self._http.get("/chaos/state").json()["running"])

    def calls(self, kind: str = "generation", *, since: float = 0.0) -> list[dict[str, Any]]:
        if not self._calls.exists():
            return []
        noted = [json.loads(line) for line in self._calls.read_text(encoding="utf-8").splitlines()]
        return [call for call in noted if call["kind"] == kind and call["at"] >= since]

    def generations(self) -> Counter[str]:
        """Return how often each request was generated."""
        return Counter(call["id"] for call in self.calls())

    def _listens(self) -> bool:
        try:
            return self._http.get("/chaos/state").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


class Nursery:
    """Speaks to the process that forks workers."""

    def __init__(self, folder: Path) -> None:
        with (folder / "nursery.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, SUPPORT / "chaos_nursery.py"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
            )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            pytest.fail(f"the nursery did not start:\n{(folder / 'nursery.log').read_text()}", pytrace=False)

    def ask(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End it, and with it every worker that is left."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=START_SECONDS)


class ForkedWorker:
    """One `tandem-feedback serve` of the nursery's."""

    def __init__(self, nursery: Nursery, pid: int, port: int, log: Path) -> None:
        self._nursery, self.pid, self.log = nursery, pid, log
        self.url = f"http://127.0.0.1:{port}"

    @property
    def exit_code(self) -> int | None:
        return self._nursery.ask(order="poll", pid=self.pid)["exit"]  # type: ignore[no-any-return]

    def signal(self, number: signal.Signals) -> None:
        self._nursery.ask(order="signal", pid=self.pid, number=int(number))

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    def wait(self, seconds: float = 60.0) -> int:
        """Return its exit code once it has ended; -9 tells of a kill."""
        deadline = time.monotonic() + seconds
        while (code := self.exit_code) is None:
            if time.monotonic() > deadline:
                pytest.fail(f"worker {self.pid} did not end within {seconds:.0f} s", pytrace=False)
            time.sleep(0.02)
        return code

    def is_up(self) -> bool:
        """Whether it answers; fails the test when it has ended of itself."""
        if (code := self.exit_code) is not None:
            pytest.fail(f"a worker has ended with {code}:\n{self.log.read_text()[-3000:]}", pytrace=False)
        try:
            return httpx.get(f"{self.url}/health", timeout=2, trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


class Fleet:
    """Workers on one database and project; their settings are the service's own, without prefix."""

    def __init__(
        self,
        nursery: Nursery,
        folder: Path,
        *,
        emulator_host: str,
        project: str,
        database_url: str,
        **settings: str,
    ) -> None:
        self._nursery, self._folder = nursery, folder
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TANDEM_", "OTEL_"))}
        self._environment = {
            **inherited,
            "PUBSUB_EMULATOR_HOST": emulator_host,
            "TANDEM_FEEDBACK_PUBSUB_PROJECT": project,
            "TANDEM_FEEDBACK_DATABASE_URL": database_url,
            **_prefixed(settings),
        }
        self.log = folder / "workers.log"
        self.workers: list[ForkedWorker] = []

    def run(self, command: str) -> None:
        """Run another command of the service to its end."""
        assert self._fork([command], free_port(), {}, {}).wait() == 0, self.log.read_text()[-3000:]

    def start(self, *, faults: dict[str, Any] | None = None, **settings: str) -> ForkedWorker:
        """Start one worker and return at once."""
        port = free_port()
        worker = self._fork(["serve"], port, faults or {}, settings)
        self.workers.append(worker)
        return worker

    def start_and_wait(self, **options: Any) -> ForkedWorker:
        worker = self.start(**options)
        wait_until("the worker answers", worker.is_up, seconds=START_SECONDS)
        return worker

    def _fork(
        self, arguments: list[str], port: int, faults: dict[str, Any], settings: dict[str, str]
    ) -> ForkedWorker:
        environment = {**self._environment, **_prefixed(settings), "TANDEM_FEEDBACK_PORT": str(port)}
        pid = self._nursery.ask(
            order="spawn",
            arguments=arguments,
            environment=environment,
            folder=str(self._folder),
            log=str(self.log),
            faults=faults,
        )["pid"]
        return ForkedWorker(self._nursery, pid, port, self.log)

    def close(self) -> None:
        for worker in self.workers:
            if worker.exit_code is None:
                worker.kill()


def _prefixed(settings: dict[str, str]) -> dict[str, str]:
    return {f"TANDEM_FEEDBACK_{name.upper()}": text for name, text in settings.items()}
