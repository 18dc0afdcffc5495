"""Checks, before anything is installed, what set-up cannot install itself: Python; and which engine build fits the machine."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tandem_local.complaint import ComplaintError

PYTHON = (3, 11)  # the version that the lock files are made for


def check_python() -> None:
    found = sys.version_info[:2]
    if found != PYTHON:
        raise ComplaintError(
            f"Tandem's lock files are for Python 3.11; {sys.executable} is {found[0]}.{found[1]}. "
            "Install Python 3.11 or name it: make PYTHON=/path/to/python3.11 ..."
        )
    if importlib.util.find_spec("ensurepip") is None:
        raise ComplaintError(
            f"{sys.executable} cannot make virtual environments (no ensurepip). "
            "On Debian and Ubuntu install the package python3.11-venv."
        )


def engine_build() -> str:
    """Return which build of the engine this machine takes, `gpu` or `cpu`: TANDEM_ENGINE, else what is seen."""
    wanted = os.environ.get("TANDEM_ENGINE", "").strip()
    if wanted not in {"", "cpu", "gpu"}:
        raise ComplaintError(f"TANDEM_ENGINE must be cpu or gpu, not {wanted!r}.")
    return wanted or ("gpu" if _sees_nvidia_gpu() else "cpu")


def _sees_nvidia_gpu() -> bool:
    if Path("/dev/nvidiactl").exists():
        return True
    tool = shutil.which("nvidia-smi")  # the only trace of the GPU under WSL; may also be there without one
    return tool is not None and subprocess.run([tool, "-L"], capture_output=True, check=False).returncode == 0
