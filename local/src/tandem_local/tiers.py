"""Runs the test tiers one after another, each with what it needs, and prints how long each took."""

import os
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tandem_local.checkout import ROOT, program, state_dir
from tandem_local.chromium import ensure_chromium
from tandem_local.complaint import ComplaintError
from tandem_local.environments import make_current
from tandem_local.small_model import make_small_model

NOTHING_COLLECTED = 5  # pytest's exit code


@dataclass(frozen=True)
class Tier:
    """A folder under tests/, the environments its tests use, and what else must be there first."""

    name: str
    environments: tuple[str, ...] = ("dev",)
    preparations: tuple[Callable[[], None], ...] = ()
    workers: int = 1

    @property
    def pytest_words(self) -> list[str]:
        """Return how the tests are spread: a module's tests stay together, as they share what is slow to start."""
        return [] if self.workers == 1 else ["-n", str(self.workers), "--dist", "loadscope"]


@dataclass
class Outcome:
    """What became of one tier; the counts are tests."""

    tier: str
    seconds: float
    exit_code: int
    counts: dict[str, int] = field(default_factory=dict)


TIERS = (
    Tier("unit"),
    Tier("contract", ("dev",), (ensure_chromium,)),  # the planner's page is held to the API in a browser
    Tier("architecture", ("dev", "chat", "feedback")),
    Tier("integration", workers=2),  # they wait for processes more than they compute
    Tier("chaos", workers=2),
    Tier("infra", ("dev", "infra")),
    Tier("images", ("dev", "images")),
    Tier("e2e", (), (make_small_model, ensure_chromium)),
)


def run_tiers(names: list[str], pytest_words: list[str]) -> int:
    """Run the named tiers (all, when none is named) and return the exit code: 0 only when no test failed.

    Raises:
        ComplaintError: A name is no tier, or something that a tier needs is missing.
    """
    known = {tier.name: tier for tier in TIERS}
    if unknown := sorted(set(names) - set(known)):
        raise ComplaintError(f"There is no tier {', '.join(unknown)}. There are: {', '.join(known)}.")
    outcomes = [_run(tier, pytest_words) for tier in TIERS if not names or tier.name in names]
    print(report(outcomes), flush=True)
    return 0 if all(outcome.exit_code == 0 for outcome in outcomes) else 1


def report(outcomes: list[Outcome]) -> str:
    """Return the table of durations and the last line with the sums."""
    rows = [f"  {'tier':14}{'seconds':>8}{'passed':>8}{'failed':>8}{'skipped':>8}"]
    rows += [
        f"  {o.tier:14}{o.seconds:8.1f}{o.counts['passed']:8}{o.counts['failed']:8}{o.counts['skipped']:8}"
        + ("" if o.exit_code == 0 or o.counts["failed"] else f"   pytest ended with {o.exit_code}")
        for o in outcomes
    ]
    sums = {key: sum(outcome.counts[key] for outcome in outcomes) for key in ("passed", "failed", "skipped")}
    last = f"tests: {sums['passed']} passed, {sums['failed']} failed, {sums['skipped']} skipped"
    return "\n".join(["", *rows, "", last])


def _run(tier: Tier, pytest_words: list[str]) -> Outcome:
    make_current(list(tier.environments))
    for prepare in tier.preparations:
        prepare()
    print(f"\n=== {tier.name} ===", flush=True)
    results = state_dir() / "tests" / f"{tier.name}.xml"
    results.parent.mkdir(parents=True, exist_ok=True)
    results.unlink(missing_ok=True)
    command = [
        str(program("dev", "python")),
        "-m",
        "pytest",
        f"tests/{tier.name}",
        "-q",
        f"--junit-xml={results}",
        *tier.pytest_words,
    ]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    started = time.monotonic()
    code = subprocess.run([*command, *pytest_words], cwd=ROOT, env=environment, check=False).returncode
    seconds = time.monotonic() - started
    return Outcome(tier.name, seconds, 0 if code == NOTHING_COLLECTED else code, count(results))


def count(results: Path) -> dict[str, int]:
    """Return how many tests passed, failed (errors included) and were skipped, from pytest's JUnit file."""
    if not results.exists():
        return {"passed": 0, "failed": 0, "skipped": 0}
    suites = list(ET.parse(results).getroot().iter("testsuite"))  # noqa: S314 - pytest wrote it just now
    total, skipped = (sum(int(suite.get(key, 0)) for suite in suites) for key in ("tests", "skipped"))
    failed = sum(int(suite.get("failures", 0)) + int(suite.get("errors", 0)) for suite in suites)
    return {"passed": total - failed - skipped, "failed": failed, "skipped": skipped}
