"""Host memory of this process and of every process of the engines' groups. Blocks for some milliseconds: call it in a thread."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psutil

from tandem_inference.observation.process_roles import role_of

GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class HostProcess:
    """One process. `engine` is None for this service's own.

    `rss_bytes` counts pages that processes share in each of them, `pss_bytes` shares them out, so only its sum over processes
    is what they take together; `uss_bytes` is what the process's end would free. The latter two are None where the
    system does not let them be read.
    """

    pid: int
    engine: str | None
    role: str
    rss_bytes: int
    pss_bytes: int | None
    uss_bytes: int | None


def read_processes(engines: Mapping[int, str]) -> tuple[HostProcess, ...]:
    """Return this process, then those of `engines` (process group to name); what ends meanwhile is left out."""
    own = _measure(os.getpid(), None, 0)
    members = (_measure(pid, engines[group], group) for pid, group in _grouped() if group in engines)
    return tuple(process for process in (own, *members) if process is not None)


def _grouped() -> Iterator[tuple[int, int]]:
    """Each process of the system with its process group."""
    for pid in psutil.pids():
        try:
            yield pid, os.getpgid(pid)
        except OSError:  # it has ended
            continue


def _measure(pid: int, engine: str | None, group: int) -> HostProcess | None:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            role = GATEWAY if engine is None else role_of(pid, process.ppid(), group, process.cmdline())
            rss = process.memory_info().rss
            pss, uss = _shares(process)
    except psutil.Error:  # it has ended, or is a zombie, which has no memory
        return None
    return HostProcess(pid, engine, role, rss, pss, uss)


def _shares(process: psutil.Process) -> tuple[int | None, int | None]:
    try:
        memory = process.memory_full_info()
    except psutil.AccessDenied:
        return None, None
    return memory.pss, memory.uss
