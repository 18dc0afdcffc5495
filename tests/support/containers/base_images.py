"""Makes stand-ins for the base images that Dockerfiles and compose.yaml name, for machines that reach no image registry.

They come from Debian's packages and from what this machine has installed; the official images stay untested by them.
"""

import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tandem_local.complaint import ComplaintError
from tandem_local.emulator import find_launcher
from tests.support.containers.podman import NoEngineError, Podman

PYTHON = "python:3.11-slim-bookworm"
POSTGRES = "postgres:15-bookworm"
PUBSUB = "google/cloud-sdk:emulators"

_STANDINS = Path(__file__).parents[2] / "images" / "standins"
_DEBIAN_PACKAGES = "usr-is-merged,ca-certificates,netbase,tzdata,python3,python3-pip"
# Left out of official slim images too.
_LEFT_OUT = ("man", "doc", "locale", "info")
_DEBIAN_SECONDS = 600


def base_images(podman: Podman) -> list[Callable[[], None]]:
    """Return the steps that make what is missing: the first alone, then the others in any order or at once.

    They take about a minute, and next to nothing when the images are there. They raise NoEngineError when Debian's packages,
    Java or the Pub/Sub emulator cannot be had here, and BuildError.
    """
    makers = {
        PYTHON: partial(_make_python, podman),
        POSTGRES: partial(podman.build, POSTGRES, _STANDINS / "postgres"),
        PUBSUB: partial(_make_pubsub, podman),
    }
    return [partial(_make_missing, podman, tag, make) for tag, make in makers.items()]


def _make_missing(podman: Podman, tag: str, make: Callable[[], None]) -> None:
    if not podman.has_image(tag):
        make()


def _make_python(podman: Podman) -> None:
    """Debian's own Python on Debian's smallest system; the official image has the same Debian below, and a Python of its own."""
    archive = podman.state.folder / "tmp" / "python.tar"
    hooks = [
        'rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/usr/lib/python3.11/EXTERNALLY-MANAGED',
        'ln -s /usr/bin/python3 "$1"/usr/local/bin/python',
    ]
    command = ["mmdebstrap", "--quiet", "--variant=apt", "--mode=root", "--components=main"]
    command += ["--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", f"--include={_DEBIAN_PACKAGES}"]
    command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT]
    command += [f"--customize-hook={hook}" for hook in hooks]
    done = subprocess.run(
        [*command, "bookworm", str(archive)],
        env=podman.state.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_DEBIAN_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise NoEngineError(f"no base image from Debian's packages: {done.stderr.strip()[-300:]}")
    path = "ENV=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    imported = podman.run(
        ["import", "--quiet", "--change", path, str(archive), PYTHON], seconds=_DEBIAN_SECONDS
    )
    archive.unlink()
    if imported.returncode != 0:
        raise NoEngineError(f"podman cannot import a base image: {imported.stderr.strip()[-300:]}")


def _make_pubsub(podman: Podman) -> None:
    try:
        emulator = find_launcher().parents[1]
    except ComplaintError as complaint:
        raise NoEngineError(str(complaint)) from complaint
    java = shutil.which("java")
    if java is None:
        raise NoEngineError("the Pub/Sub emulator needs a Java runtime, and `java` is not on the PATH")
    context = podman.state.folder / "tmp" / "pubsub"
    shutil.rmtree(context, ignore_errors=True)
    shutil.copytree(_STANDINS / "pubsub", context)
    shutil.copytree(emulator, context / "pubsub-emulator")
    for name in ("bin", "conf", "lib"):  # a runtime; its links lead into this machine's /etc
        shutil.copytree(
            Path(java).resolve().parents[1] / name, context / "java" / name, ignore_dangling_symlinks=True
        )
    podman.build(PUBSUB, context)
    shutil.rmtree(context)
