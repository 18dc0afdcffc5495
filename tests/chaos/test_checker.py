"""The drills' checker sees what it is there to see: a history with a fault in it never passes."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.chaos_history import History, Verdict, judge


@pytest.fixture
def history(tmp_path: Path) -> History:
    history = History(tmp_path / "history.jsonl")
    for number in range(3):
        history.append("sent", f"r{number}")
        history.append("accepted", f"r{number}")
        outcome(history, f"r{number}")
    return history


def outcome(history: History, request_id: str, digest: str = "one", **facts: Any) -> None:
    history.append("outcome", request_id, digest=digest, type="feedback.completed.v1", **facts)


def verdict(history: History) -> Verdict:
    return judge(history.entries())


def test_nothing_is_found_when_every_request_has_one_outcome_told_twice(history: History) -> None:
    outcome(history, "r1")
    found = verdict(history)
    assert (found.faults, found.accepted, found.repeats) == ({}, 3, 1)


def test_accepted_request_without_outcome_is_lost_and_one_still_open_is_stuck(history: History) -> None:
    for request_id, state in (("gone", None), ("done but untold", "done"), ("open", "running")):
        history.append("sent", request_id)
        history.append("accepted", request_id)
        history.append("state", request_id, state=state)
    assert verdict(history).faults == {"lost": ("done but untold", "gone"), "stuck": ("open",)}


def test_two_different_outcomes_are_a_doubled_one(history: History) -> None:
    outcome(history, "r2", digest="another")
    assert verdict(history).faults == {"doubled": ("r2",)}


def test_outcome_that_nobody_asked_for_is_unexplained(history: History) -> None:
    outcome(history, "stranger")
    assert verdict(history).faults == {"unexplained": ("stranger",)}


def test_failure_without_a_sentence_is_unexplained(history: History) -> None:
    history.append("sent", "silent")
    history.append("outcome", "silent", digest="x", type="feedback.failed.v1", code="broken", detail="")
    assert verdict(history).faults == {"unexplained": ("silent",)}


def test_request_that_was_sent_and_never_accepted_may_end_either_way(history: History) -> None:
    history.append("sent", "refused")
    assert verdict(history).faults == {}
