"""What a machine runs at boot does what it should: the secrets' script, run with a stand-in for Google's addresses."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.check.plan import machine, read_plan

CURL = """#!/bin/bash
case "$*" in
  *service-accounts/default/token) echo '{"access_token":"ya29.abc","expires_in":3599}' ;;
  *hugging-face-token/versions/1:access) [ -z "$NO_HUB_TOKEN" ] || exit 22; printf '{\\n "payload": {\\n  "data": "%s"\\n }\\n}\\n' "$(printf hf_xyz | base64)" ;;
  *inference-token/versions/1:access) case "$*" in *"Bearer ya29.abc"*) printf '{"payload": {"data": "%s"}}' "$(printf 's3cr3t' | base64)" ;; *) exit 22 ;; esac ;;
  *) exit 6 ;;
esac
"""


@pytest.fixture
def script(plans: dict[str, Any], tmp_path: Path) -> Path:
    """The inference container's script, writing to a folder of the test and calling a `curl` of the test."""
    template = read_plan("prod", plans["prod"]).of("google_compute_instance_template")[0]
    text = machine(template).files["/etc/tandem/inference-secrets.sh"]
    path = tmp_path / "secrets.sh"
    path.write_text(text.replace("/run/tandem", str(tmp_path / "run")))
    (tmp_path / "bin").mkdir()
    curl = tmp_path / "bin" / "curl"
    curl.write_text(CURL)
    curl.chmod(0o755)
    return path


def run(script: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PATH": f"{script.parent / 'bin'}:{os.environ['PATH']}", **more}
    return subprocess.run(["bash", str(script)], env=environment, capture_output=True, text=True, check=False)


def test_secrets_are_written_for_root_alone(script: Path) -> None:
    done = run(script)
    assert done.returncode == 0, done.stderr
    written = script.parent / "run" / "inference.env"
    assert written.read_text().splitlines() == ["HF_TOKEN=hf_xyz", "TANDEM_INFERENCE_SERVICE_TOKEN=s3cr3t"]
    assert written.stat().st_mode & 0o077 == 0


def test_the_container_is_not_started_when_a_secret_cannot_be_read(script: Path) -> None:
    assert run(script, NO_HUB_TOKEN="1").returncode != 0
    assert not (script.parent / "run" / "inference.env").exists()
