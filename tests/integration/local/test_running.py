"""The driver of `make run` over stand-in services: whatever dies or asks to stop, no process is left behind."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tandem_local.leftovers import STACK_MARK, find, marks
from tandem_local.run_settings import PORTS
from tandem_local.supervision import Life, lives
from tests.support.ports import free_ports
from tests.support.waiting import wait_until

READY = "Ctrl-C stops everything"


class StubRun:
    """One `make run` over stand-ins, in a state folder and on ports of its own."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.settings = {
            **{name: str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)},
            "TANDEM_STATE_DIR": str(state),
        }
        self._output = state.with_suffix(".out")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, stdin: int = subprocess.DEVNULL, **settings: str) -> None:
        environment = {**os.environ, **self.settings, **settings}
        environment.pop("PUBSUB_EMULATOR_HOST", None)
        with self._output.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.stub_stack"],
                env=environment,
                stdin=stdin,
                stdout=out,
                stderr=out,
            )

    def start_and_wait(self, *, stdin: int = subprocess.DEVNULL, **settings: str) -> None:
        self.start(stdin=stdin, **settings)
        wait_until("the stack is ready", lambda: READY in self.output() or self.has_ended())
        assert READY in self.output(), self.output()

    def output(self) -> str:
        return self._output.read_text()

    def lives(self) -> dict[str, Life]:
        return lives(self.state)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def exit_code(self) -> int:
        assert self._process is not None
        return self._process.wait(timeout=15)

    def processes(self) -> list[int]:
        return find({STACK_MARK: str(self.state)})

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        wait_until("every process is gone", lambda: not self.processes())


@pytest.fixture
def stub_run(tmp_path: Path) -> Iterator[StubRun]:
    run = StubRun(tmp_path / "state")
    yield run
    run.end()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_everything_stops_in_reverse_order_when_a_signal_asks(
    stub_run: StubRun, number: signal.Signals
) -> None:
    stub_run.start_and_wait()
    assert len(stub_run.processes()) >= 9  # supervisord, four parts and a child of each
    stub_run.send(number)
    assert stub_run.exit_code() == 0
    stops = [line.split()[-1] for line in stub_run.output().splitlines() if "| stops " in line]
    assert stops == ["chat", "feedback", "inference", "emulator"]
    assert stub_run.processes() == []


def test_everything_stops_when_the_terminal_closes_and_nobody_passes_the_signal_on(stub_run: StubRun) -> None:
    master, terminal = os.openpty()
    stub_run.start_and_wait(stdin=terminal)
    os.close(terminal)
    os.close(master)
    assert stub_run.exit_code() == 0
    assert stub_run.processes() == []


def test_nothing_is_left_when_the_driver_is_killed(stub_run: StubRun) -> None:
    stub_run.start_and_wait()
    pids = {name: life.pid for name, life in stub_run.lives().items()}
    stub_run.send(signal.SIGKILL)
    wait_until("the parts are gone", lambda: not set(pids.values()) & set(stub_run.processes()))


def test_the_run_ends_and_says_so_when_the_process_runner_is_killed(stub_run: StubRun) -> None:
    stub_run.start_and_wait()
    os.kill(int((stub_run.state / "supervisord.pid").read_text()), signal.SIGKILL)
    assert stub_run.exit_code() == 1
    assert "supervisord) died" in stub_run.output()
    assert stub_run.processes() == []


def test_a_part_and_its_children_are_replaced_when_it_is_killed(stub_run: StubRun) -> None:
    stub_run.start_and_wait()
    before = stub_run.lives()["inference"].pid
    children = set(Path(f"/proc/{before}/task/{before}/children").read_text().split())
    os.kill(before, signal.SIGKILL)
    wait_until("inference runs again", lambda: stub_run.lives()["inference"].pid not in {0, before})
    wait_until("its former child is gone", lambda: not children & {str(pid) for pid in stub_run.processes()})
    wait_until("the user is told", lambda: "inference had died and was started again" in stub_run.output())
    assert not stub_run.has_ended()


def test_topics_are_made_again_when_the_emulator_was_restarted(stub_run: StubRun) -> None:
    stub_run.start_and_wait()
    assert (stub_run.state / "topology").read_text() == "made\n"
    os.kill(stub_run.lives()["emulator"].pid, signal.SIGKILL)
    wait_until(
        "the topics are made again", lambda: (stub_run.state / "topology").read_text() == "made\nmade\n"
    )


def test_the_run_fails_and_names_the_part_when_it_dies_at_once(stub_run: StubRun) -> None:
    stub_run.start(STUB_FAILING="feedback")
    wait_until("the run ends", stub_run.has_ended, seconds=40)
    assert stub_run.exit_code() == 1
    assert "feedback dies as soon as it starts" in stub_run.output()
    assert "no luck today" in stub_run.output()
    assert stub_run.processes() == []


def test_the_run_fails_and_names_the_part_when_it_died_too_often(stub_run: StubRun) -> None:
    stub_run.start_and_wait(TANDEM_RESTARTS_ALLOWED="0")
    os.kill(stub_run.lives()["chat"].pid, signal.SIGKILL)
    assert stub_run.exit_code() == 1
    assert "chat died 1 times" in stub_run.output()
    assert stub_run.processes() == []


def test_nothing_starts_when_a_port_is_taken(stub_run: StubRun) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(stub_run.settings["TANDEM_FEEDBACK_PORT"])))
        other.listen()
        stub_run.start()
        assert stub_run.exit_code() == 1
    assert (
        f"port {stub_run.settings['TANDEM_FEEDBACK_PORT']} is taken (setting TANDEM_FEEDBACK_PORT)"
        in stub_run.output()
    )
    assert not (stub_run.state / "logs").exists()


def test_leftovers_are_ended_when_a_former_run_was_killed(stub_run: StubRun) -> None:
    orphan = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
        ],
        env={**os.environ, **marks(stub_run.state, "inference")},
    )
    stub_run.start_and_wait()
    assert orphan.wait(timeout=1) == -signal.SIGKILL
    assert "ended 1 processes that a former run had left behind" in stub_run.output()


def test_a_second_run_is_refused_when_one_lives_in_the_folder(stub_run: StubRun) -> None:
    stub_run.start_and_wait()
    second = StubRun(stub_run.state)
    second._output = stub_run.state.with_suffix(".second")
    second.start()
    assert second.exit_code() == 1
    assert "already runs from" in second.output()
    assert not stub_run.has_ended()
    assert stub_run.lives()["chat"].pid != 0
