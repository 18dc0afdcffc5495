"""The engine's packages exist in the inference service's environment alone."""

import subprocess

import pytest

from tandem_local.environments import all_environments


@pytest.mark.parametrize("environment", ["chat", "feedback"])
@pytest.mark.parametrize("package", ["vllm", "torch", "transformers", "tandem_inference"])
def test_an_engine_package_cannot_be_imported(environment: str, package: str) -> None:
    done = _import(environment, package)
    assert done.returncode != 0
    assert f"No module named '{package}'" in done.stderr


@pytest.mark.parametrize("environment", ["chat", "feedback"])
def test_the_service_itself_can_be_imported(environment: str) -> None:
    done = _import(environment, f"tandem_{environment}.entrypoints.cli")
    assert done.returncode == 0, done.stderr


def _import(environment: str, package: str) -> subprocess.CompletedProcess[str]:
    python = all_environments()[environment].python
    if not python.exists():
        pytest.fail(f"{python} is missing: run `make setup S={environment}`", pytrace=False)
    return subprocess.run(
        [python, "-I", "-c", f"import {package}"], capture_output=True, text=True, check=False
    )
