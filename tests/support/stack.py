"""The whole real stack for end-to-end tests: own ports, own state folder, the very driver of `make run`."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tandem_local.checkout import ROOT, program
from tandem_local.health import answers
from tandem_local.leftovers import end_leftovers
from tandem_local.run_settings import PORTS
from tandem_local.supervision import lives
from tests.support.bound_process import bound_to_this_process
from tests.support.ports import free_ports

START_SECONDS = 400.0  # half a minute on two idle cores; CI machines are seldom idle
RECOVERY_SECONDS = 120.0
STOP_SECONDS = 60.0
SERVICES = ("chat", "feedback", "inference")


class Stack:
    """A running stack. Its parts are `chat`, `feedback`, `inference` and `emulator`."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self._output = folder / "output.log"
        self._ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.chat_url = self._url("TANDEM_CHAT_PORT")
        self.feedback_url = self._url("TANDEM_FEEDBACK_PORT")
        self.inference_url = self._url("TANDEM_INFERENCE_PORT")
        self.emulator_host = f"127.0.0.1:{self._ports['PUBSUB_EMULATOR_PORT']}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **settings: str) -> None:
        """Start everything and return when every service is ready. Blocks for the engine's half minute."""
        command = [*bound_to_this_process(signal.SIGTERM), str(program("local", "python"))]
        with self._output.open("wb") as out:
            self._process = subprocess.Popen(
                [*command, "-m", "tandem_local", "run-installed"],
                cwd=ROOT,
                env={**self._environment(), **settings},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        for service in SERVICES:
            self.wait_ready(service, seconds=START_SECONDS)

    def stop(self) -> int:
        """Ask it to stop, as Ctrl-C would, and return the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            end_leftovers(self.state)
            pytest.fail(
                f"the stack did not stop within {STOP_SECONDS:.0f} s\n{self._end_of_output()}", pytrace=False
            )

    def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a part's process, unless it is dead already; the stack starts it again by itself."""
        if pid := self.pid(part):  # to signal process 0 would be to signal the tests
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def pid(self, part: str) -> int:
        """Return the part's process id; 0 while it is between two lives."""
        return lives(self.state)[part].pid

    def wait_ready(self, part: str, *, seconds: float = RECOVERY_SECONDS) -> None:
        """Block until the part does its work; fail the test when it does not in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if answers(self._ready_url(part)):
                return
            if self._process is None or self._process.poll() is not None:
                pytest.fail(
                    f"the stack ended before {part} was ready:\n{self._end_of_output()}", pytrace=False
                )
            time.sleep(0.1)
        pytest.fail(f"{part} was not ready within {seconds:.0f} s:\n{self._end_of_output()}", pytrace=False)

    def logs(self, part: str) -> str:
        """Return what the part has written since the stack was started."""
        return (self.state / "logs" / f"{part}.log").read_text(errors="replace")

    def output(self) -> str:
        """Return what a user would have seen in the terminal."""
        return self._output.read_text(errors="replace")

    def trace_file(self, service: str) -> Path:
        """Return the JSON-lines file of the service's spans."""
        return self.state / "traces" / f"{service}.jsonl"

    def _url(self, setting: str) -> str:
        return f"http://127.0.0.1:{self._ports[setting]}"

    def _ready_url(self, part: str) -> str:
        if part == "emulator":
            return f"http://{self.emulator_host}"
        return f"{self._url(f'TANDEM_{part.upper()}_PORT')}/ready"

    def _environment(self) -> dict[str, str]:
        """The developer's own settings stay out: a test must never write into their database."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("TANDEM_", "PUBSUB_"))
        }
        databases = {
            f"TANDEM_{name.upper()}_DATABASE_URL": f"sqlite+aiosqlite:///{self.state}/data/{name}.db"
            for name in ("chat", "feedback")
        }
        return {
            **kept,
            **databases,
            **{name: str(port) for name, port in self._ports.items()},
            "PUBSUB_EMULATOR_HOST": "",  # set, so that a .env cannot name another
            "TANDEM_STATE_DIR": str(self.state),
            "TANDEM_RESTARTS_ALLOWED": "1000",
        }

    def _end_of_output(self) -> str:
        return "\n".join(self.output().splitlines()[-60:])


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack, started once for the whole session; tests share it, so each uses conversations of its own."""
    running = Stack(tmp_path_factory.mktemp("stack"))
    try:
        running.start()
        yield running
    finally:
        running.stop()
