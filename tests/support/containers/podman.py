"""Builds and lists images with Debian's podman, as root, in namespaces that leave the machine's own mounts alone.

Running a stack of containers is `stack`'s job, making base images without a registry `base_images`'.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support.containers.state import CERTIFICATES, State

PACKAGES = ("podman", "runc", "netavark", "aardvark-dns", "iptables", "iproute2", "catatonit", "mmdebstrap")
_FREE_BYTES = 6_000_000_000
_BUILD_SECONDS = 900


class NoEngineError(Exception):
    """There is no container engine here and none can be had; the message says why."""


class BuildError(Exception):
    """A build failed; the message ends with its last lines."""


class Podman:
    """The engine of one state folder."""

    def __init__(self, state: State) -> None:
        self.state = state

    def run(self, words: Sequence[str], *, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run one podman command and return what it said; the caller judges the exit code."""
        return subprocess.run(
            ["unshare", "--mount", "podman", *words],
            env=self.state.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def has_image(self, tag: str) -> bool:
        return self.run(["image", "exists", tag]).returncode == 0

    def build(
        self, tag: str, context: Path, *, file: Path | None = None, options: Sequence[str] = ()
    ) -> None:
        """Build an image from a Dockerfile, reusing layers; reaches pip's index as this machine does.

        Raises:
            BuildError: The build failed.
        """
        secrets = [f"--secret=id=pip_conf,src={self.state.folder}/pip.conf"]
        if CERTIFICATES.exists():
            secrets.append(f"--secret=id=ca_certificates,src={CERTIFICATES}")
        words = ["build", "--pull=never", "--network=host", "--format=docker", *secrets, f"--tag={tag}"]
        done = self.run(
            [*words, f"--file={file or context / 'Dockerfile'}", *options, str(context)],
            seconds=_BUILD_SECONDS,
        )
        if done.returncode != 0:
            raise BuildError(f"{tag}: {_last_lines(done.stdout + done.stderr)}")


def require_namespaces() -> None:
    """Do nothing where containers can be run.

    Raises:
        NoEngineError: Not root, or the machine forbids namespaces.
    """
    if os.geteuid() != 0:
        raise NoEngineError("the containers of the tests need root, for namespaces of their own")
    tried = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "true"]
    if shutil.which("unshare") is None or subprocess.run(tried, capture_output=True, check=False).returncode:
        raise NoEngineError("this machine forbids making namespaces")


def find_podman(folder: Path) -> Podman:
    """Return a working engine that keeps its state in `folder`, installing Debian's packages where that is allowed.

    Raises:
        NoEngineError: It is not Debian, without a network, podman does not run, or the disk is full.
    """
    if shutil.disk_usage(folder).free < _FREE_BYTES:
        raise NoEngineError(f"less than {_FREE_BYTES // 10**9} GB are free at {folder}")
    _install_packages()
    state = State(folder)
    state.make()
    podman = Podman(state)
    asked = podman.run(["info"])
    if asked.returncode != 0:
        raise NoEngineError(f"podman does not run here: {_last_lines(asked.stderr, 1)}")
    return podman


def _install_packages() -> None:
    if _are_installed():
        return
    if shutil.which("apt-get") is None:
        raise NoEngineError(f"there is no apt-get to install {', '.join(PACKAGES)} with")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-yqq", "--no-install-recommends", *PACKAGES]
    for command in (["apt-get", "update", "-qq"], install):
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    if not _are_installed():
        raise NoEngineError(f"`{' '.join(install)}` failed: {_last_lines(done.stderr, 1)}")


def _are_installed() -> bool:
    asked = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Status}\n", *PACKAGES],
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.splitlines() == ["install ok installed"] * len(PACKAGES)


def _last_lines(text: str, count: int = 25) -> str:
    return "\n".join(text.strip().splitlines()[-count:])
