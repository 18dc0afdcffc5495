"""What reaches a build: sources and locks, never secrets, state or environments, whatever lies in the checkout."""

import shutil
from pathlib import Path

from tandem_local.checkout import ROOT
from tests.support.containers.base_images import PYTHON
from tests.support.containers.podman import Podman

WANTED = {
    "docker/healthcheck.py",
    "libs/contracts/pyproject.toml",
    "libs/contracts/src/tandem_contracts/__init__.py",
    "services/chat/migrations/env.py",
    "services/chat/requirements.lock",
    "services/chat/src/tandem_chat/web/index.html",
}
UNWANTED = {
    ".cache/models/weights",
    ".env",
    ".git/config",
    ".run/data/chat.db",
    ".venvs/chat/pyvenv.cfg",
    "docker/secrets/service_token",
    "services/chat/.env",
    "services/chat/src/tandem_chat/__pycache__/settings.pyc",
    "tests/conftest.py",
}


def test_only_sources_and_locks_reach_a_build(images: Podman, tmp_path: Path) -> None:
    context = tmp_path / "checkout"
    for name in WANTED | UNWANTED:
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text("x")
    shutil.copy(ROOT / ".dockerignore", context)
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(f"FROM {PYTHON}\nCOPY . /context\nWORKDIR /context\n")

    images.build("tandem-test-context", context, file=dockerfile)

    found = images.run(["run", "--rm", "--network=none", "tandem-test-context", "find", "-type", "f"])
    assert {line.removeprefix("./") for line in found.stdout.splitlines()} == WANTED
    images.run(["image", "rm", "tandem-test-context"])
