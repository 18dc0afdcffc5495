"""Names what a process of an engine's group does, from the titles that vLLM gives its processes and from who started it."""

import re
from collections.abc import Sequence
from typing import Final

KEEPER: Final = "keeper"
API_SERVER: Final = "API server"
OTHER: Final = "other"

# vllm/v1/engine/core.py, v1/executor/multiproc_executor.py, v1/utils.py: set_process_title
_TITLE: Final = re.compile(r"^VLLM::(EngineCore|Worker|APIServer|DPCoordinator)(?:[_ ](\S+))?")
_TITLED: Final = {
    "EngineCore": "engine core",
    "Worker": "worker",
    "APIServer": API_SERVER,
    "DPCoordinator": "coordinator",
}
_TRACKER: Final = "multiprocessing.resource_tracker"


def role_of(pid: int, parent: int, group: int, command: Sequence[str]) -> str:
    """Return the role of process `pid`, a member of the process group `group`, whose keeper leads it.

    A worker's rank stays part of its role, so that ranks can be told apart: `worker TP0`.
    """
    if pid == group:
        return KEEPER
    line = " ".join(command).strip()
    if found := _TITLE.match(line):
        return " ".join(part for part in (_TITLED[found[1]], found[2]) if part)
    if _TRACKER in line:
        return "resource tracker"
    return API_SERVER if parent == group else OTHER
