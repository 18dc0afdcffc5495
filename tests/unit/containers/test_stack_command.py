"""What `make up` and its like hand over to compose, seen with a compose that only tells what it was given."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tandem_local.checkout import ROOT

DOCKER = ROOT / "docker"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    docker = folder / "docker"
    docker.write_text('#!/bin/sh\n[ "$2" = version ] || echo "$@"\n')
    docker.chmod(0o755)
    return folder


def stack(programs: Path, secrets: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": str(programs), "TANDEM_SECRETS": str(secrets)}
    command = [sys.executable, str(DOCKER / "stack.py"), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_small_model_is_what_runs_when_no_profile_is_named(programs: Path, tmp_path: Path) -> None:
    done = stack(programs, tmp_path / "secrets", "up")
    assert done.returncode == 0, done.stderr
    assert "--profile cpu up --detach --build --wait" in done.stdout
    assert f"--env-file {DOCKER}/profiles/cpu.env" in done.stdout


def test_each_named_profile_brings_its_own_settings(programs: Path, tmp_path: Path) -> None:
    told = stack(programs, tmp_path / "secrets", "up", "multi", "observability").stdout
    for profile in ("multi", "observability"):
        assert f"--env-file {DOCKER}/profiles/{profile}.env --profile {profile}" in told
    assert "cpu" not in told


def test_everything_is_stopped_whatever_was_started(programs: Path, tmp_path: Path) -> None:
    assert "--profile * down" in stack(programs, tmp_path / "secrets", "down").stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tpu"], "there is no profile tpu; there are cpu"),
        (["cpu", "gpu"], "expected one of cpu, gpu, multi"),
    ],
)
def test_a_wrong_choice_is_refused_with_the_right_ones(
    programs: Path, tmp_path: Path, words: list[str], told: str
) -> None:
    done = stack(programs, tmp_path / "secrets", "up", *words)
    assert done.returncode == 2
    assert told in done.stderr


def test_what_is_missing_is_named_when_there_is_no_compose(programs: Path, tmp_path: Path) -> None:
    (programs / "docker").write_text("#!/bin/sh\nexit 1\n")
    done = stack(programs, tmp_path / "secrets", "up")
    assert done.returncode == 2
    assert "neither `docker compose` nor `docker-compose` is installed" in done.stderr
    assert not (tmp_path / "secrets").exists()


def test_secrets_are_made_once_and_closed_to_other_users(programs: Path, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    stack(programs, secrets, "up")
    first = {file.name: file.read_text() for file in secrets.iterdir()}
    stack(programs, secrets, "up")

    assert {file.name: file.read_text() for file in secrets.iterdir()} == first
    assert secrets.stat().st_mode & 0o077 == 0
    assert first["chat_database_password"] in first["chat_database_url"]
    assert first.pop("hf_token") == ""
    assert len(set(first.values())) == len(first)
    assert all(len(secret) >= 32 for secret in first.values())
