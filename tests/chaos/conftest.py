"""Gives the drills their seed, their parts and their sizes, and prints the table of figures at the end.

By default the drills have the sizes of CI; TANDEM_CHAOS=full (`make chaos`) gives them those of the published figures and
adds the folder `full`. TANDEM_CHAOS_SEED repeats a run.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.support.chaos_drill import Drills, Figures
from tests.support.chaos_parts import Nursery
from tests.support.databases import database_url

__all__ = ["database_url"]

FULL = os.environ.get("TANDEM_CHAOS") == "full"
# In the environment, so that several processes of one run throw the same dice.
SEED = int(os.environ.setdefault("TANDEM_CHAOS_SEED", str(secrets.randbelow(1_000_000))))
collect_ignore = [] if FULL else ["full"]
FIGURES = "figures"
_figures: list[Figures] = []


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
def drills(tmp_path: Path, nursery: Nursery, seed: int, request: pytest.FixtureRequest) -> Iterator[Drills]:
    report: list[Figures] = []
    drills = Drills(tmp_path, nursery, seed, report)
    yield drills
    drills.close()
    request.node.user_properties.extend((FIGURES, figures) for figures in report)


@pytest.fixture(scope="session")
def full() -> bool:
    """Whether this run is as large as the published figures."""
    return FULL


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "teardown":
        _figures.extend(cast("Figures", told) for name, told in report.user_properties if name == FIGURES)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _figures:
        return
    tell = terminalreporter.write_line
    tell(f"\nfailure drills, seed {SEED} (TANDEM_CHAOS_SEED={SEED} repeats it)")
    columns = [name for name in _figures[0] if name != "drill"]
    tell(f"  {'drill':52}" + "".join(f"{name:>14}" for name in columns))
    for one in _figures:
        tell(f"  {one['drill']:52}" + "".join(f"{one[name]:>14}" for name in columns))
