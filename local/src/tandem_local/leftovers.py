"""Finds and ends processes that a former life of the stack left behind, by a mark in their environment.

Every process of a stack inherits the mark, so even a grandchild whose parents were killed is found. Linux
only (it reads /proc); elsewhere nothing is found and the orderly stop has to do.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

STACK_MARK = "TANDEM_STACK"
PROGRAM_MARK = "TANDEM_STACK_PROGRAM"
GRACE_SECONDS = 5.0
# vLLM's processes give themselves titles with setproctitle, which would write over the environment that is read here.
_KEEP_READABLE = {"SPT_NOENV": "1"}


def marks(state: Path, program: str) -> dict[str, str]:
    """Return the variables to put into the environment of a program and all that it starts."""
    return {STACK_MARK: str(state), PROGRAM_MARK: program, **_KEEP_READABLE}


def end_leftovers(state: Path, program: str | None = None) -> int:
    """End all marked processes of this state folder, or of one program in it, except this one; return how many.

    Blocks up to some seconds: what does not end when asked is killed.
    """
    wanted = {STACK_MARK: str(state)} if program is None else marks(state, program)
    found = find(wanted)
    _signal(found, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while (alive := find(wanted)) and time.monotonic() < deadline:
        time.sleep(0.05)
    while alive:
        _signal(alive, signal.SIGKILL)
        time.sleep(0.05)
        alive = find(wanted)
    return len(found)


def find(wanted: dict[str, str]) -> list[int]:
    """Return the processes, except this one, that have all of these variables in their environment."""
    entries = {f"{name}={value}".encode() for name, value in wanted.items()}
    return [
        int(folder.name)
        for folder in Path("/proc").glob("[0-9]*")
        if int(folder.name) != os.getpid() and entries <= _environment(folder)
    ]


def _environment(folder: Path) -> set[bytes]:
    try:
        return set(
            (folder / "environ").read_bytes().split(b"\0")
        )  # empty for one that is dead but not yet reaped
    except OSError:
        return set()


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
