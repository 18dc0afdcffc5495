"""Gives the drills their seed, their parts and their sizes, and prints the table of figures at the end.

By default the drills have the sizes of CI; TANDEM_CHAOS=full (`make chaos`) gives them those of the published figures and
adds the folder `full`. TANDEM_CHAOS_SEED repeats a run.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chaos_drill import Drills, Figures
from tests.support.chaos_parts import Nursery
from tests.support.databases import database_url

__all__ = ["database_url"]

FULL = os.environ.get("TANDEM_CHAOS") == "full"
SEED = int(os.environ.get("TANDEM_CHAOS_SEED") or secrets.randbelow(1_000_000))
collect_ignore = [] if FULL else ["full"]
_report: list[Figures] = []


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path_factory.mktemp("nursery"))
    yield nursery
    nursery.close()


@pytest.fixture(scope="session")
def seed() -> int:
    """The run's own; the table at the end tells it."""
    return SEED


@pytest.fixture
def drills(tmp_path: Path, nursery: Nursery, seed: int) -> Iterator[Drills]:
    drills = Drills(tmp_path, nursery, seed, _report)
    yield drills
    drills.close()


@pytest.fixture(scope="session")
def full() -> bool:
    """Whether this run is as large as the published figures."""
    return FULL


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _report:
        return
    tell = terminalreporter.write_line
    tell(f"\nfailure drills, seed {SEED} (TANDEM_CHAOS_SEED={SEED} repeats it)")
    tell(
        f"  {'drill':44}{'requests':>9}{'faults':>7}{'seconds':>8}{'lost':>5}{'stuck':>6}{'doubled':>8}"
        f"{'unexplained':>12}{'repeats':>8}{'calls/request':>14}"
    )
    for one in _report:
        found = one.verdict
        tell(
            f"  {one.drill:44}{one.accepted:9}{one.faults:7}{one.seconds:8.1f}{len(found.lost):5}"
            f"{len(found.stuck):6}{len(found.doubled):8}{len(found.unexplained):12}{found.repeats:8}{one.per_request:14.2f}"
        )
