"""What is in the images, seen from inside them: who runs, what can be imported, and what was left behind."""

import json
from typing import Any

import pytest

from tests.support.containers.podman import Podman

IMAGES = ["tandem-chat", "tandem-feedback", "tandem-inference-gateway"]
WITHOUT_ENGINE = ["tandem-chat", "tandem-feedback"]
LARGEST_BYTES = 250_000_000


def inspect(podman: Podman, image: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(podman.run(["image", "inspect", image]).stdout)[0]
    return found


def in_container(podman: Podman, image: str, script: str) -> str:
    words = [
        "run",
        "--rm",
        "--network=none",
        "--read-only",
        "--no-healthcheck",
        "--entrypoint=sh",
        image,
        "-c",
    ]
    done = podman.run([*words, script])
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("image", IMAGES)
def test_it_runs_as_an_ordinary_user_with_a_name(images: Podman, image: str) -> None:
    assert in_container(images, image, "id -u; id -un") == "10001\ntandem"


@pytest.mark.parametrize("image", IMAGES)
def test_nothing_that_builds_is_in_it(images: Podman, image: str) -> None:
    tools = "for tool in cc gcc g++ ld make cargo flit git; do command -v $tool; done; true"
    assert in_container(images, image, tools) == ""
    modules = (
        "find /opt -maxdepth 5 -name pip -o -maxdepth 5 -name setuptools -o -maxdepth 5 -name 'flit_core*'"
    )
    assert in_container(images, image, modules) == ""


@pytest.mark.parametrize("image", WITHOUT_ENGINE)
@pytest.mark.parametrize("package", ["vllm", "torch", "transformers", "tandem_inference"])
def test_nothing_of_the_engine_is_in_it(images: Podman, image: str, package: str) -> None:
    found = f"python -c 'import importlib.util as i; print(i.find_spec(\"{package}\"))'"
    assert in_container(images, image, found) == "None"


@pytest.mark.parametrize("image", WITHOUT_ENGINE)
def test_it_is_small(images: Podman, image: str) -> None:
    assert inspect(images, image)["Size"] < LARGEST_BYTES


@pytest.mark.parametrize("image", IMAGES)
def test_it_says_what_it_is_and_how_it_is(images: Podman, image: str) -> None:
    found = inspect(images, image)
    for label in ("title", "description", "version", "revision"):
        assert found["Labels"][f"org.opencontainers.image.{label}"]
    assert "/health" in " ".join(found["Healthcheck"]["Test"])


@pytest.mark.parametrize("image", IMAGES)
def test_no_trace_is_left_of_how_the_build_reached_its_packages(images: Podman, image: str) -> None:
    left = "find /etc/pip.conf /run/secrets /build ~root/.cache ~root/.config 2>/dev/null; true"
    assert in_container(images, image, left) == ""


@pytest.mark.parametrize("image", IMAGES)
def test_sources_and_locked_packages_are_in_layers_of_their_own(images: Podman, image: str) -> None:
    history = images.run(["history", "--no-trunc", "--format={{.CreatedBy}}", image]).stdout.splitlines()
    packages = [line for line in history if "/opt/" in line and "COPY" in line]
    sources = [line for line in history if "/app/src" in line and "COPY" in line]
    assert packages
    assert sources
    assert not set(packages) & set(sources)
    assert history.index(sources[0]) < history.index(packages[0]), "what changes often lies above"
