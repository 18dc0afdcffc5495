"""Runs compose files on podman in network, mount and process namespaces of their own.

Nothing of the machine's own network changes, ports cannot clash, and no process outlives the namespaces.
"""

import json
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.bound_process import bound_to_this_process
from tests.support.containers.podman import Podman

_SOCKET = "/run/containers/podman.sock"
# Nothing else runs health checks where there is no systemd. Process 1 of the namespaces, and so the last to be killed.
_KEEPER = f"""
ip link set lo up
mkdir -p /run/containers
mount -t tmpfs tmpfs /run/containers
mount -t tmpfs tmpfs "$STATE/run"
podman system service --time 0 unix://{_SOCKET} &
while sleep 1; do
  for container in $(podman ps --quiet); do timeout 10 podman healthcheck run "$container"; done
done >/dev/null 2>&1
"""
_UP_SECONDS = 240
_START_SECONDS = 30


class StackError(Exception):
    """The stack did not come up; the message ends with its logs."""


class Stack:
    """Compose files in running namespaces. Commands given to `inside` see its loopback and its containers."""

    def __init__(self, podman: Podman, compose: Path, files: Sequence[Path], secrets: Path) -> None:
        self._podman = podman
        self.secrets = secrets
        self._words = [str(compose), *(word for file in files for word in ("--file", str(file)))]
        self._environment = {
            **podman.state.environment,
            "TANDEM_SECRETS": str(secrets),
            "DOCKER_HOST": f"unix://{_SOCKET}",
            "STATE": str(podman.state.folder),
        }
        self._leader = 0

    @contextmanager
    def running(self, profiles: Sequence[str]) -> Iterator[None]:
        """Keep the containers up, each healthy, while the context is open; nothing of them is left afterwards.

        Raises:
            StackError: A container failed or did not become healthy in time.
        """
        with self._namespaces():
            chosen = [word for profile in profiles for word in ("--profile", profile)]
            try:
                up = self.compose(
                    [*chosen, "up", "--detach", "--no-build", "--pull=never", "--wait"], seconds=_UP_SECONDS
                )
                if up.returncode != 0:
                    logs = self.compose([*chosen, "logs", "--tail=25"])
                    raise StackError(f"{up.stderr[-3000:]}\n{logs.stdout[-8000:]}")
                yield
            finally:
                self.compose([*chosen, "down", "--volumes", "--timeout=5"])
                self.inside(["podman", "rm", "--force", "--all", "--time=0"])

    def compose(self, words: Sequence[str], *, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        try:
            return self.inside([*self._words, *words], seconds=seconds)
        except subprocess.TimeoutExpired as late:
            return subprocess.CompletedProcess(
                late.cmd, 124, "", f"`{words[-1]}` was not done in {seconds:.0f} s"
            )

    def inside(self, words: Sequence[str], *, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command of this machine in the namespaces."""
        enter = ["nsenter", f"--target={self._leader}", "--net", "--mount", "--pid"]
        return subprocess.run(
            [*enter, *words],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def inspect(self, service: str) -> dict[str, Any]:
        """Return what the engine says about a service's container."""
        identity = self.compose(["--profile=*", "ps", "--all", "--quiet", service]).stdout.split()[0]
        found: dict[str, Any] = json.loads(self.inside(["podman", "inspect", identity]).stdout)[0]
        return found

    @contextmanager
    def _namespaces(self) -> Iterator[None]:
        bound = bound_to_this_process(signal.SIGKILL)
        unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        keeper = subprocess.Popen(
            [*bound, *unshare, "bash", "-c", _KEEPER],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self._podman.state.folder / "service.log").open("wb"),
        )
        try:
            self._leader = self._wait_for_leader(keeper)
            yield
        finally:
            keeper.kill()
            keeper.wait()

    def _wait_for_leader(self, keeper: subprocess.Popen[bytes]) -> int:
        children = Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children")
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and keeper.poll() is None:
            if found := children.read_text().split():
                self._leader = int(found[0])
                if self.inside(["test", "-S", _SOCKET]).returncode == 0:
                    return self._leader
            time.sleep(0.1)
        said = (self._podman.state.folder / "service.log").read_text(errors="replace")
        raise StackError(f"podman's service did not start: {said[-1000:]}")
