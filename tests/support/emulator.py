"""A real Pub/Sub emulator on a free port, shared by a test session; topics and subscriptions are the test's."""

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tandem_local.emulator import EmulatorMissingError, emulator_command
from tests.support.absence import skip_unless_ci
from tests.support.bound_process import bound_to_this_process
from tests.support.ports import free_port

START_SECONDS = 90


class Emulator:
    """One emulator process; it keeps nothing over `kill` or `restart`, and everything over `pause`."""

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self._command = bound_to_this_process(signal.SIGKILL) + emulator_command(
            host="127.0.0.1", port=self.port
        )
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_it_answers(self._process)

    def kill(self) -> None:
        """End it as a crash would: topics, subscriptions and messages are gone."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def pause(self) -> None:
        """Make an outage without loss: it stops answering until `resume`."""
        self._signal(signal.SIGSTOP)
        if self._process is not None:  # the signal has an effect only when every thread has seen it
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"http://{self.host}", timeout=1):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        pytest.fail(f"The Pub/Sub emulator did not start:\n{self._log.read_text()[-3000:]}", pytrace=False)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A running emulator for the whole session. Use project and topic names of your own in each test."""
    try:
        running = Emulator(tmp_path_factory.mktemp("emulator") / "emulator.log")
    except EmulatorMissingError as missing:
        skip_unless_ci(str(missing))
    running.start()
    yield running
    running.kill()


@pytest.fixture
def own_emulator(tmp_path: Path) -> Iterator[Emulator]:
    """A running emulator for one test alone, which may kill, pause and restart it."""
    try:
        running = Emulator(tmp_path / "emulator.log")
    except EmulatorMissingError as missing:
        skip_unless_ci(str(missing))
    running.start()
    yield running
    running.kill()
