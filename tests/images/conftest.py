"""One container engine, its images and one running stack for all tests of this folder; skips, with the reason, where no engine can be had."""

import fcntl
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tandem_local.checkout import ROOT, program
from tests.support.containers.base_images import base_images
from tests.support.containers.podman import NoEngineError, Podman, find_podman, require_namespaces
from tests.support.containers.stack import Stack

COMPOSE_FILES = (ROOT / "docker" / "compose.yaml", ROOT / "tests" / "images" / "stub-engine.compose.yaml")
PROFILES = ("cpu",)


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    folder = ROOT / ".cache" / "containers"
    try:
        require_namespaces()
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # a second run in this checkout waits
            yield find_podman(folder)
    except NoEngineError as reason:
        pytest.skip(f"no container engine: {reason}")


@pytest.fixture(scope="session")
def images(podman: Podman) -> Podman:
    """Every image that the stack takes, built from what compose.yaml says of it."""
    try:
        first, *others = base_images(podman)
        first()
        with ThreadPoolExecutor(max_workers=3) as pool:
            list(pool.map(lambda step: step(), [*others, *_builds(podman)]))
    except NoEngineError as reason:
        pytest.skip(f"no base images: {reason}")
    return podman


@pytest.fixture(scope="session")
def stack(images: Podman, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    secrets = tmp_path_factory.mktemp("stack") / "secrets"
    subprocess.run(["python3", ROOT / "docker" / "make_secrets.py", secrets], check=True)
    stack = Stack(images, program("images", "docker-compose"), COMPOSE_FILES, secrets)
    with stack.running(PROFILES):
        yield stack


def compose_document(*files: Path, profiles: tuple[str, ...]) -> dict[str, Any]:
    """Return the compose files as compose itself understands them."""
    words = [
        *(f"--file={file}" for file in files),
        *(f"--profile={profile}" for profile in profiles),
        "config",
        "--format=json",
    ]
    done = subprocess.run(
        [program("images", "docker-compose"), *words], capture_output=True, text=True, check=True
    )
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def _builds(podman: Podman) -> Iterator[partial[None]]:
    services = compose_document(*COMPOSE_FILES, profiles=PROFILES)["services"].values()
    for tag, build in {s["image"]: s["build"] for s in services if "build" in s}.items():
        options = [f"--target={build['target']}"] if "target" in build else []
        context = Path(build["context"])
        yield partial(podman.build, tag, context, file=context / build["dockerfile"], options=options)
