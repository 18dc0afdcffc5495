"""When an environment counts as current, and what is said when making one fails."""

from dataclasses import replace
from pathlib import Path

import pytest

from tandem_local import environments
from tandem_local.complaint import ComplaintError
from tandem_local.environment_building import advice, locked_names, scarce_first
from tandem_local.environments import Environment, all_environments, select


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """A finished environment in a checkout of its own."""
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path / ".venvs")
    (tmp_path / "requirements.lock").write_text("one==1.0\n")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "pyproject.toml").write_text("[project]\n")
    made = Environment("chat", "requirements.lock", ("project",))
    made.python.parent.mkdir(parents=True)
    made.python.touch()
    made.stamp.write_text(made.fingerprint())
    return made


def test_a_finished_environment_is_current(environment: Environment) -> None:
    assert environment.is_current()


@pytest.mark.parametrize("changed", ["requirements.lock", "project/pyproject.toml"])
def test_it_is_not_current_when_a_file_that_decides_it_changed(
    environment: Environment, changed: str
) -> None:
    (environment.folder.parents[1] / changed).write_text("other\n")
    assert not environment.is_current()


def test_it_is_not_current_when_setting_up_was_interrupted(environment: Environment) -> None:
    environment.stamp.unlink()
    assert not environment.is_current()


def test_it_is_not_current_when_another_lock_applies(environment: Environment) -> None:
    (environment.folder.parents[1] / "gpu.lock").write_text("one==1.0\n")
    assert not replace(environment, lock="gpu.lock").is_current()


def test_only_the_named_environments_are_selected() -> None:
    assert [environment.name for environment in select(["chat"])] == ["chat"]
    assert {environment.name for environment in select([])} == {
        "chat",
        "feedback",
        "inference",
        "local",
        "images",
        "infra",
        "dev",
    }


def test_an_unknown_environment_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ComplaintError, match=r"no environment chta.*inference, chat"):
        select(["chta"])


@pytest.mark.parametrize("build", ["cpu", "gpu"])
def test_inference_takes_the_lock_of_its_engine_build(monkeypatch: pytest.MonkeyPatch, build: str) -> None:
    monkeypatch.setenv("TANDEM_ENGINE", build)
    assert all_environments()["inference"].lock == f"services/inference/requirements.{build}.lock"


def test_the_variable_is_named_when_torchs_cpu_build_is_not_found() -> None:
    log = "ERROR: No matching distribution found for torch==2.13.0+cpu"
    assert "TORCH_CPU_INDEX" in advice(log)


def test_locked_names_are_normalized(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("# comment\nPy_YAML==6.0 \\\n    --hash=sha256:00\ntorch==2.13.0+cpu ; x == 'y' \\\n")
    assert locked_names(lock) == {"py-yaml", "torch"}


def test_torch_is_looked_for_first_and_nothing_else_changes() -> None:
    lock = "# head\na==1 \\\n    --hash=sha256:0a\ntorch==2 \\\n    --hash=sha256:0b\nz==3 \\\n    --hash=sha256:0c\n"
    ordered = scarce_first(lock)
    assert ordered.startswith("torch==2 \\\n    --hash=sha256:0b\n")
    assert sorted(ordered.splitlines()) == sorted(lock.splitlines())
