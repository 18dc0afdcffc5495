"""What `make lock-check` says about locks that disagree with their projects."""

import shutil
from pathlib import Path

import pytest

from tandem_local.checkout import ROOT
from tandem_local.lock_check import problems
from tandem_local.locks import LOCKS


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this project's dependency files, to be spoiled."""
    projects = ["libs/contracts", "libs/messaging", "libs/telemetry", "services/chat", "services/feedback"]
    files = [f"{project}/pyproject.toml" for project in [*projects, "services/inference", "local"]]
    files += [file for lock in LOCKS.values() for file in (lock.file, *lock.sources)]
    files += [f"services/inference/requirements.{build}.lock" for build in ("cpu", "gpu")]
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def spoil(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_projects_own_locks_are_good(checkout: Path) -> None:
    assert problems(checkout) == []


def test_a_missing_package_is_named_with_the_remedy(checkout: Path) -> None:
    spoil(
        checkout / "services/chat/pyproject.toml", "dependencies = [", 'dependencies = [\n    "left-out>=1",'
    )
    found = problems(checkout)
    assert "chat/requirements.lock lacks left-out: run `make lock S=chat`." in found


def test_a_version_below_the_declared_bound_is_named(checkout: Path) -> None:
    spoil(checkout / "libs/contracts/pyproject.toml", "pydantic>=", "pydantic>=9")
    assert any(line.startswith("feedback/requirements.lock has pydantic") for line in problems(checkout))


def test_an_address_in_a_lock_is_named(checkout: Path) -> None:
    lock = checkout / "local/requirements.lock"
    lock.write_text("--index-url " + "https://index.example/simple\n" + lock.read_text())
    assert any("local/requirements.lock holds an address" in line for line in problems(checkout))


def test_a_pin_without_hash_is_named(checkout: Path) -> None:
    lock = checkout / "services/feedback/requirements.lock"
    lock.write_text(lock.read_text() + "stray==1.0\n")
    assert any("no hashes for stray" in line for line in problems(checkout))


def test_a_version_that_tests_and_service_do_not_share_is_named(checkout: Path) -> None:
    lock = checkout / "services/chat/requirements.lock"
    pin = next(line for line in lock.read_text().splitlines() if line.startswith("fastapi=="))
    spoil(lock, pin, "fastapi==99.0 \\")
    assert any("chat ships 99.0" in line for line in problems(checkout))
