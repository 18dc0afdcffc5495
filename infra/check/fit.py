"""Asks the memory planner whether an environment's engines fit the L4s of its machines, before anything is applied."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import yaml

from infra.check.terraform import CHECKOUT, TREE, CheckFailedError

CARD = "L4"
_L4S = {24: 2, 48: 4, 96: 8}
_PLANNER = CHECKOUT / ".venvs" / "dev" / "bin" / "tandem-plan"


def fit_problems(environment: str, tree: Path = TREE) -> Iterator[str]:
    """Yield why the environment's engines would not start."""
    folder = tree / "environments" / environment
    engines = folder / "engines.yaml"
    l4s = _l4s(folder)
    for engine in yaml.safe_load(engines.read_text())["engines"]:
        needed = engine.get("tensor_parallel_size", 1) * engine.get("pipeline_parallel_size", 1)
        if needed > l4s:
            yield f"{environment}: engine {engine['name']} wants {needed} L4s, the machine has {l4s}"
    done = _plan(engines)
    if done.returncode != 0:
        yield f"{environment}: {done.stdout}{done.stderr}"


def fit_report(environment: str) -> str:
    """Return the planner's words on an environment that fits.

    Raises:
        CheckFailedError: It does not; the message holds the planner's words.
    """
    if not (TREE / "environments" / environment / "engines.yaml").exists():
        raise CheckFailedError(
            f"ENV: expected an environment with an engines.yaml (dev or prod), got {environment!r}"
        )
    if problems := list(fit_problems(environment)):
        raise CheckFailedError("\n".join(problems))
    return _plan(TREE / "environments" / environment / "engines.yaml").stdout


def _plan(engines: Path) -> "subprocess.CompletedProcess[str]":
    if not _PLANNER.exists():
        raise CheckFailedError(f"{_PLANNER} is missing: run `make setup S=dev`")
    return subprocess.run(
        [str(_PLANNER), "plan", str(engines), "--gpu", CARD], capture_output=True, text=True, check=False
    )


def _l4s(folder: Path) -> int:
    """Return how many L4s a machine has, from terraform.tfvars or, without one, its example."""
    values = next(
        path for path in (folder / "terraform.tfvars", folder / "terraform.tfvars.example") if path.exists()
    )
    vcpus = re.search(r'machine_type\s*=\s*"g2-standard-(\d+)"', values.read_text())
    return _L4S.get(int(vcpus[1]), 1) if vcpus else 1
