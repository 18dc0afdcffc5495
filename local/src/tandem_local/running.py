"""`make run`, once everything is installed: the stack from start to Ctrl-C, and what the person sees of it."""

import fcntl
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tandem_local.complaint import ComplaintError
from tandem_local.event_lines import NAME_WIDTH, render
from tandem_local.following import LogFollower
from tandem_local.parent_death import die_with_parent
from tandem_local.programs import Plan, plan
from tandem_local.run_settings import RunSettings, read_run_settings
from tandem_local.stack import Stack

_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _AskedToStop(BaseException):
    """A signal asked this process to end; not an Exception, so that nothing on the way swallows it."""


def run(plan_of: Callable[[RunSettings], Plan] = plan) -> int:
    """Run what `plan_of` the settings names until a signal ends it (returns 0) or a part cannot be kept running (raises)."""
    die_with_parent(expected_parent=os.getppid())
    settings = read_run_settings()
    with _only_one(settings.state):
        stack = Stack(settings, plan_of(settings), lambda text: _print(f"{'tandem':{NAME_WIDTH}} | {text}"))
        follower = LogFollower(stack.log_files(), lambda name, line: _print(render(name, line)))
        _call_on_signals(_raise_asked_to_stop)
        threading.Thread(target=_tell_when_the_terminal_closes, daemon=True).start()
        try:
            _run_until_it_ends(stack, settings, follower)
        except _AskedToStop:
            pass
        finally:
            _call_on_signals(signal.SIG_IGN)
            stack.stop()
            follower.stop()
    _print("Everything is stopped.")
    return 0


def _run_until_it_ends(stack: Stack, settings: RunSettings, follower: LogFollower) -> None:
    started = time.monotonic()
    stack.prepare()
    follower.start()
    stack.start()
    _print(f"\nTandem is at {settings.chat_url} (the model is still loading).\n")
    stack.wait_until_ready()
    _print(_table(stack, settings, time.monotonic() - started))
    stack.watch()


def _table(stack: Stack, settings: RunSettings, seconds: float) -> str:
    rows = [("service", "address", "state"), *stack.states()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    ]
    table = "\n".join(line.rstrip() for line in lines)
    return f"\n{table}\n\nReady after {seconds:.0f} s. Open {settings.chat_url}; Ctrl-C stops everything.\n"


@contextmanager
def _only_one(state: Path) -> Iterator[None]:
    """Hold the state folder for this process; the kernel lets go of it however the process ends."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "run.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise ComplaintError(
                f"Tandem already runs from {state} (process {file.read().strip()}). Stop it there with Ctrl-C, or "
                "run a second one beside it with a TANDEM_STATE_DIR and ports of its own."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _tell_when_the_terminal_closes() -> None:
    """Send this process the signal of a closed terminal: the kernel tells the session's first process alone.

    Where that is make (a window or an ssh command that runs nothing else), it would wait for us for ever.
    """
    terminals = select.poll()
    watched = [fd for fd in (0, 1, 2) if os.isatty(fd)]
    for fd in watched:
        terminals.register(fd, 0)  # a hang-up is reported unasked
    if watched and terminals.poll():
        os.kill(os.getpid(), signal.SIGHUP)


def _raise_asked_to_stop(number: int, frame: FrameType | None) -> None:
    raise _AskedToStop


def _call_on_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in _ENDING_SIGNALS:
        signal.signal(number, handler)


_print_lock = threading.Lock()


def _print(text: str) -> None:
    """Write whole lines; a terminal that was closed is no reason to leave processes behind."""
    with _print_lock:
        try:
            print(text, flush=True)
        except OSError:
            sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - stands in until the process ends
