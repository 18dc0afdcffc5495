"""The virtual environments: what each is made of, and whether the one on disk is what it should be."""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

from tandem_local.checkout import ENVIRONMENTS, ROOT
from tandem_local.complaint import ComplaintError
from tandem_local.prerequisites import check_python, engine_build

CONTRACTS, MESSAGING, TELEMETRY = "libs/contracts", "libs/messaging", "libs/telemetry"


@dataclass(frozen=True)
class Environment:
    """A lock file and the projects of this checkout that are installed, editable, beside what it names."""

    name: str
    lock: str
    projects: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return ENVIRONMENTS / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def stamp(self) -> Path:
        """The file that is written last, so that it says: what stands here is whole."""
        return self.folder / ".tandem-stamp"

    def fingerprint(self) -> str:
        """Return a hash of all that decides the environment's content."""
        digest = hashlib.sha256(f"{sys.version_info[:3]} {ROOT}".encode())
        for path in (self.lock, *(f"{project}/pyproject.toml" for project in self.projects)):
            digest.update(path.encode())
            digest.update((ROOT / path).read_bytes())
        return digest.hexdigest()

    def is_current(self) -> bool:
        try:
            return self.stamp.read_text() == self.fingerprint() and self.python.exists()
        except FileNotFoundError:
            return False


def all_environments() -> dict[str, Environment]:
    service_libs = (CONTRACTS, TELEMETRY, MESSAGING)
    inference_lock = f"services/inference/requirements.{engine_build()}.lock"
    environments = (
        # The largest first: it is what everything waits for.
        Environment("inference", inference_lock, (CONTRACTS, TELEMETRY, "services/inference")),
        Environment("chat", "services/chat/requirements.lock", (*service_libs, "services/chat")),
        Environment("feedback", "services/feedback/requirements.lock", (*service_libs, "services/feedback")),
        Environment("local", "local/requirements.lock", ("local",)),
        Environment("infra", "infra/requirements.lock", (CONTRACTS,)),
        Environment("images", "docker/requirements.lock", ()),
        Environment(
            "dev",
            "requirements-dev.lock",
            (*service_libs, "services/chat", "services/feedback", "services/inference", "local"),
        ),
    )
    return {environment.name: environment for environment in environments}


def select(names: list[str]) -> list[Environment]:
    """Return the named environments, or all when none is named.

    Raises:
        ComplaintError: A name is not one of an environment.
    """
    known = all_environments()
    if unknown := sorted(set(names) - set(known)):
        raise ComplaintError(f"There is no environment {', '.join(unknown)}. There are: {', '.join(known)}.")
    return [environment for name, environment in known.items() if not names or name in names]


def make_current(names: list[str]) -> None:
    """Make the named environments (all, when none is named) what their locks say; quick when they are.

    Raises:
        ComplaintError: A prerequisite is missing, a name is unknown, or an installation failed.
    """
    check_python()
    missing = [environment for environment in select(names) if not environment.is_current()]
    if missing:
        from tandem_local.setting_up import set_up  # only now: this function runs before every other command

        set_up(missing)
