"""Writes the lock files from the projects' declared dependencies; whether they still agree is `lock_check`'s."""

import os
import shutil
import subprocess
from dataclasses import dataclass

from tandem_local.checkout import ROOT, program
from tandem_local.complaint import ComplaintError

OWN = ("contracts", "messaging", "telemetry")
BUILD_BACKEND = "flit_core>=3.12,<4"
HEADER = "# Written by `make lock`. Every line is checked by hash when it is installed.\n"


@dataclass(frozen=True)
class Lock:
    """A lock file, what it is resolved from, and the locks whose versions it must keep to."""

    name: str
    file: str
    sources: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    libraries: tuple[str, ...] = OWN


LOCKS = {
    lock.name: lock
    for lock in (
        Lock("chat", "services/chat/requirements.lock", ("services/chat/pyproject.toml",)),
        Lock("feedback", "services/feedback/requirements.lock", ("services/feedback/pyproject.toml",)),
        Lock("local", "local/requirements.lock", ("local/pyproject.toml",), libraries=()),
        # Inference without an engine, as in the images, where the engine has an environment of its own.
        Lock(
            "gateway",
            "services/inference/requirements.gateway.lock",
            ("services/inference/pyproject.toml",),
            constraints=("services/inference/requirements.cpu.lock",),
            libraries=("contracts", "telemetry"),
        ),
        # The programs that check infra/terraform.
        Lock("infra", "infra/requirements.lock", ("infra/requirements.in",), libraries=()),
        # The programs that check and run docker/compose.yaml in tests.
        Lock("images", "docker/requirements.lock", ("docker/requirements.in",), libraries=()),
        Lock(
            "dev",
            "requirements-dev.lock",
            (
                "requirements-dev.in",
                "services/chat/pyproject.toml",
                "services/feedback/pyproject.toml",
                "services/inference/pyproject.toml",
            ),
            constraints=("services/chat/requirements.lock", "services/feedback/requirements.lock"),
        ),
    )
}
# The engine's two locks have peculiarities of their own (CPU build of torch, packages left out): see the script.
INFERENCE_SCRIPT = "services/inference/lock.sh"


def write_locks(names: list[str], *, upgrade: bool) -> None:
    """Write the named locks (all, when none is named); versions move only when they must or with `upgrade`."""
    if unknown := sorted(set(names) - set(LOCKS) - {"inference"}):
        raise ComplaintError(
            f"There is no lock {', '.join(unknown)}. There are: {', '.join(LOCKS)}, inference."
        )
    for lock in LOCKS.values():
        if not names or lock.name in names:
            _write(lock, upgrade=upgrade)
    if not names or "inference" in names:
        environment = {**os.environ, "UV": _uv(), "UV_UPGRADE": "1" if upgrade else ""}
        _run(["bash", str(ROOT / INFERENCE_SCRIPT)], environment=environment)


def _write(lock: Lock, *, upgrade: bool) -> None:
    command = [
        _uv(),
        "pip",
        "compile",
        "--quiet",
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
    ]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    command += [word for own in OWN for word in ("--no-emit-package", f"tandem-{own}")]
    command += [word for path in lock.constraints for word in ("--constraint", path)]
    command += ["--upgrade"] if upgrade else []
    command += [*lock.sources, "-", "--output-file", lock.file]
    own_projects = [f"tandem-{own} @ file://{ROOT}/libs/{own}" for own in lock.libraries]
    _run(command, text="\n".join([*own_projects, BUILD_BACKEND]))
    path = ROOT / lock.file
    path.write_text(HEADER + path.read_text().removeprefix(HEADER))
    print(f"wrote {lock.file}")


def _uv() -> str:
    found = program("dev", "uv")
    return str(found) if found.exists() else shutil.which("uv") or "uv"


def _run(command: list[str], *, text: str = "", environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, cwd=ROOT, input=text, text=True, env=environment, check=False, stdout=subprocess.DEVNULL
    )
    if done.returncode != 0:
        raise ComplaintError(f"`{' '.join(command[:3])}` failed; its words are above.")
