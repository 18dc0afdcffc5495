"""Makes one virtual environment from its lock with pip; which ones, and telling the user, is `setting_up`'s."""

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tandem_local.checkout import ENVIRONMENTS, ROOT, state_dir
from tandem_local.complaint import ComplaintError
from tandem_local.environments import Environment

Say = Callable[[str], None]
LOG_LINES_SHOWN = 15
# Bytecode is written when a module is first imported: compiling all of torch and vLLM takes longer than using them.
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")
INSTALL = (*PIP, "install", "--no-deps", "--no-compile", "--progress-bar=off")
KEPT_BY_VENV = {"pip", "setuptools"}


class Builder:
    """Builds one environment; a second one at the same time, even of another process, waits."""

    def __init__(self, environment: Environment, say: Say) -> None:
        self._environment = environment
        self._say = say
        self._log = state_dir() / "logs" / "setup" / f"{environment.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    @property
    def log(self) -> Path:
        return self._log

    def build(self) -> None:
        """Make the environment current; does nothing when it is.

        Raises:
            ComplaintError: pip or venv failed; the end of their log and what to do are in the message.
        """
        environment = self._environment
        with _exclusively(ENVIRONMENTS / f".{environment.name}.lock"):
            if environment.is_current():
                return
            self._log.parent.mkdir(parents=True, exist_ok=True)
            self._log.write_bytes(b"")
            was_whole = environment.stamp.exists()
            environment.stamp.unlink(missing_ok=True)
            if not was_whole:
                self._say("makes a virtual environment")
                self._run([sys.executable, "-m", "venv", "--clear", str(environment.folder)])
            self._install()
            if was_whole:
                self._remove_what_the_lock_no_longer_names()
            environment.stamp.write_text(environment.fingerprint())

    def stop(self) -> None:
        """End the running step from another thread, and start no further one."""
        self._stopped = True
        if self._process is not None:
            self._process.terminate()

    def _install(self) -> None:
        environment = self._environment
        lock = ROOT / environment.lock
        self._say(f"installs {len(locked_names(lock))} packages from {environment.lock}")
        index = os.environ.get("TORCH_CPU_INDEX", "").strip()
        extra = ["--extra-index-url", index] if index and environment.lock.endswith(".cpu.lock") else []
        ordered = self._log.with_suffix(".requirements")
        ordered.write_text(scarce_first(lock.read_text()))
        self._run([str(environment.python), *INSTALL, *extra, "--require-hashes", "-r", str(ordered)])
        if not environment.projects:
            return
        self._say("installs this checkout's own projects")
        editable = [word for project in environment.projects for word in ("-e", str(ROOT / project))]
        self._run([str(environment.python), *INSTALL, "--no-build-isolation", *editable])

    def _remove_what_the_lock_no_longer_names(self) -> None:
        environment = self._environment
        listing = subprocess.run(
            [str(environment.python), *PIP, "list", "--format=json"],
            capture_output=True,
            text=True,
            check=True,
        )
        installed = {normalized(package["name"]) for package in json.loads(listing.stdout)}
        own = {name for name in installed if name.startswith("tandem-")}
        strays = installed - locked_names(ROOT / environment.lock) - own - KEPT_BY_VENV
        if strays:
            self._say(f"removes {', '.join(sorted(strays))}")
            self._run([str(environment.python), *PIP, "uninstall", "--yes", *sorted(strays)])

    def _run(self, command: list[str]) -> None:
        if self._stopped:
            raise ComplaintError("interrupted")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT
            )
            code = self._process.wait()
        if code != 0:
            raise ComplaintError("interrupted" if self._stopped else self._why(code))

    def _why(self, code: int) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join(
            [
                f"Setting up .venvs/{self._environment.name} failed (exit code {code}). The end of {self._log}:",
                *(f"  | {line}" for line in lines[-LOG_LINES_SHOWN:]),
                advice("\n".join(lines)),
            ]
        )


def scarce_first(lock: str) -> str:
    """Return the lock with torch in front: where an index lacks its CPU build, that is known at once, not minutes later."""
    requirements = re.split(r"^(?=\S)", lock, flags=re.MULTILINE)
    return "".join(sorted(requirements, key=lambda requirement: not requirement.startswith("torch==")))


def advice(log: str) -> str:
    """Return what to do about a failed installation."""
    if re.search(r"No matching distribution found for torch==\S*\+cpu", log):
        return (
            "torch's CPU build is not on the package index that pip uses here. Set TORCH_CPU_INDEX to the "
            "address of PyTorch's wheel index for CPUs (its installation page names it) and run this again."
        )
    if "No space left on device" in log:
        return "The disk is full: the environments need about 3 GB, and more with a GPU. Free some space and run this again."
    if "DO NOT MATCH THE HASHES" in log:
        return (
            "A downloaded package is not the one the lock file names. Do not use it; check the package index."
        )
    return "If the package index could not be reached, check the network and run this again: it goes on from here."


def locked_names(lock: Path) -> set[str]:
    """Return the normalized names of the packages that a lock file pins."""
    return {
        normalized(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock.read_text(), flags=re.MULTILINE)
    }


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@contextmanager
def _exclusively(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
