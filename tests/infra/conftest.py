"""Plans of the three roots, made once per run with the checks' own environment."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tandem_local.checkout import ROOT, program

ROOTS = ("bootstrap", "dev", "prod")


@pytest.fixture(scope="session", autouse=True)
def _terraform() -> None:
    if shutil.which("terraform") is None:
        pytest.skip("there is no terraform here (1.11 or newer is needed)", allow_module_level=True)


@pytest.fixture(scope="session")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Each root's plan with its example values, as `terraform show -json` prints it."""
    folder = tmp_path_factory.mktemp("plans")
    return {root: make_plan(root, folder / f"{root}.json") for root in ROOTS}


def make_plan(root: str, out: Path, *, tree: Path | None = None) -> dict[str, Any]:
    """Return a root's plan; raises CalledProcessError, with terraform's words, where it cannot be planned."""
    command = [str(program("infra", "python")), "-m", "infra.check", "plan", root, str(out)]
    command += ["--tree", str(tree)] if tree else []
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    planned: dict[str, Any] = json.loads(out.read_text())
    return planned
