"""The names and free memory of the cards in this machine, as the driver's own tool gives them; what they mean is `gpus`' knowledge."""

from __future__ import annotations

import shutil
import subprocess

_SECONDS = 10.0
"""A driver that hangs must not hold up whoever asks."""


def installed_cards() -> tuple[str, ...]:
    """Every card's name in the driver's order; empty without a card, or without a driver that answers. Blocks."""
    return _query("name")


def free_mib() -> float:
    """Free memory of the first card as the driver counts it; 0 without one. Blocks."""
    found = next(iter(_query("memory.free")), "")
    number = found.split(" ", maxsplit=1)[0]
    return float(number) if number.isdigit() else 0.0


def _query(what: str) -> tuple[str, ...]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        found = subprocess.run(  # noqa: S603 - a fixed query of the driver's own tool
            [program, f"--query-gpu={what}", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    if found.returncode != 0:
        return ()
    return tuple(line.strip() for line in found.stdout.splitlines() if line.strip())
