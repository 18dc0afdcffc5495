"""Turns samples into percentiles, and a benchmark's outcome into a table and a JSON file with what it ran on."""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.gateway.running import ROOT


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least `share` of all do not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[math.ceil(share * len(ordered)) - 1]


def spread(samples: Sequence[float]) -> dict[str, float | int]:
    """Count, median, 95th percentile and worst, rounded to a tenth of a millisecond."""
    return {
        "count": len(samples),
        "p50": round(statistics.median(samples), 4),
        "p95": round(percentile(samples, 0.95), 4),
        "worst": round(max(samples), 4),
    }


def add_output_option(parser: argparse.ArgumentParser, name: str) -> None:
    default = ROOT / ".run" / "benchmarks" / f"{name}.json"
    parser.add_argument(
        "--json", type=Path, default=default, help=f"where to write the figures ({default.name})"
    )


def machine() -> dict[str, Any]:
    """What the figures were got on; the load tells whether anything else ran."""
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, check=False
    )
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load": [round(one, 2) for one in os.getloadavg()],
        "python": platform.python_version(),
        "revision": revision.stdout.decode().strip(),
    }


def write(path: Path, figures: dict[str, Any]) -> None:
    """Write `figures` to `path` and say so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"\nwritten: {path}")
