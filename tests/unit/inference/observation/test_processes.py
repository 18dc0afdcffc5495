"""Memory of real processes: whose they are, what they do, and that those that ended are gone."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tandem_inference.observation.host_processes import HostProcess, read_processes
from tandem_inference.observation.process_roles import role_of

# Leads a group, starts a child with 30 MB, and says when both are there.
PARENT = """
import subprocess, sys
code = 'x = b"1" * 30_000_000; print("there", flush=True); import sys; sys.stdin.read()'
subprocess.Popen([sys.executable, "-c", code], stdin=sys.stdin).wait()
"""


@contextmanager
def _group() -> Iterator[int]:
    """A process group of two; its id."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        yield process.pid
        process.communicate()


def _by_role(processes: tuple[HostProcess, ...]) -> dict[str, HostProcess]:
    return {process.role: process for process in processes}


def test_every_process_of_an_engines_group_is_told_with_its_memory() -> None:
    with _group() as group:
        found = read_processes({group: "small"})
        assert [process.engine for process in found].count("small") == 2
        roles = _by_role(found)
        assert roles["gateway"].pid == os.getpid()
        assert roles["keeper"].pid == group
        server = roles["API server"]
        assert server.rss_bytes > 30_000_000
        assert server.uss_bytes is not None
        assert server.pss_bytes is not None
        assert 30_000_000 < server.uss_bytes <= server.pss_bytes <= server.rss_bytes
    assert [process.role for process in read_processes({group: "small"})] == ["gateway"]


def test_processes_of_other_groups_are_nobodys() -> None:
    with _group():
        assert [process.engine for process in read_processes({})] == [None]


@pytest.mark.parametrize(
    ("pid", "parent", "command", "role"),
    [
        (7, 1, ["python", "keeper.py", "python", "-m", "vllm.entrypoints.openai.api_server"], "keeper"),
        (8, 7, ["python", "-m", "vllm.entrypoints.openai.api_server"], "API server"),
        (9, 8, ["VLLM::EngineCore" + " " * 80], "engine core"),
        (9, 8, ["VLLM::EngineCore_DP1"], "engine core DP1"),
        (9, 8, ["VLLM::Worker"], "worker"),
        (9, 8, ["VLLM::Worker_TP1"], "worker TP1"),
        (9, 8, ["VLLM::APIServer_0"], "API server 0"),
        (9, 8, ["VLLM::DPCoordinator"], "coordinator"),
        (9, 8, ["python", "-c", "from multiprocessing.resource_tracker import main"], "resource tracker"),
        (9, 8, ["ninja"], "other"),
        (9, 8, [], "other"),
    ],
)
def test_a_process_is_called_by_what_it_does(pid: int, parent: int, command: list[str], role: str) -> None:
    assert role_of(pid, parent, 7, command) == role
