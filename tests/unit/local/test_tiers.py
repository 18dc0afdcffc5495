"""The table and the last line of `make test`, from what pytest left behind."""

from pathlib import Path

import pytest

from tandem_local.complaint import ComplaintError
from tandem_local.tiers import Outcome, count, report, run_tiers

JUNIT = """<?xml version="1.0"?><testsuites>
<testsuite name="pytest" errors="1" failures="2" skipped="3" tests="10" time="1.0"></testsuite></testsuites>"""


def test_errors_count_as_failures(tmp_path: Path) -> None:
    results = tmp_path / "unit.xml"
    results.write_text(JUNIT)
    assert count(results) == {"passed": 4, "failed": 3, "skipped": 3}


def test_nothing_is_counted_when_pytest_left_no_results(tmp_path: Path) -> None:
    assert count(tmp_path / "none.xml") == {"passed": 0, "failed": 0, "skipped": 0}


def test_the_last_line_sums_up_all_tiers() -> None:
    outcomes = [
        Outcome("unit", 1.25, 0, {"passed": 100, "failed": 0, "skipped": 1}),
        Outcome("e2e", 61.0, 1, {"passed": 3, "failed": 2, "skipped": 0}),
    ]
    lines = report(outcomes).splitlines()
    assert lines[-1] == "tests: 103 passed, 2 failed, 1 skipped"
    assert any(line.split() == ["e2e", "61.0", "3", "2", "0"] for line in lines)


def test_a_tier_that_ended_badly_without_a_failed_test_is_marked() -> None:
    crashed = Outcome("unit", 0.1, 2, {"passed": 0, "failed": 0, "skipped": 0})
    assert "pytest ended with 2" in report([crashed])


def test_an_unknown_tier_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ComplaintError, match=r"no tier smoke.*unit, contract"):
        run_tiers(["smoke"], [])
