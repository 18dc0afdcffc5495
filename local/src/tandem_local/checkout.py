"""Where things lie in the checkout; creates nothing. Standard library only, like all that runs before set-up."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENTS = ROOT / ".venvs"
MODELS = ROOT / ".cache" / "models"
DEFAULT_STATE = ROOT / ".run"


def state_dir() -> Path:
    """Return the absolute folder of run-time state: TANDEM_STATE_DIR (relative to the root) or .run."""
    return (
        ROOT / os.environ.get("TANDEM_STATE_DIR", "").strip() if _state_is_set() else DEFAULT_STATE
    ).resolve()


def program(environment: str, name: str) -> Path:
    """Return the path of an installed program, such as `tandem-chat` in the environment `chat`."""
    return ENVIRONMENTS / environment / "bin" / name


def _state_is_set() -> bool:
    return bool(os.environ.get("TANDEM_STATE_DIR", "").strip())
