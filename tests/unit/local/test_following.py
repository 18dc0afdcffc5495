"""Following log files: whole lines, each once, over rotation."""

from pathlib import Path

import pytest

from tandem_local.following import LogFollower
from tests.support.waiting import wait_until


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "chat.log"


def follow(log: Path) -> tuple[LogFollower, list[tuple[str, str]]]:
    shown: list[tuple[str, str]] = []
    follower = LogFollower({"chat": log}, lambda name, line: shown.append((name, line)))
    follower.start()
    return follower, shown


def test_lines_are_shown_once_and_whole_when_written_in_pieces(log: Path) -> None:
    follower, shown = follow(log)
    with log.open("w", buffering=1) as file:
        file.write("one\ntw")
        file.flush()
        wait_until("the first line", lambda: shown)
        file.write("o\n")
    follower.stop()
    assert shown == [("chat", "one"), ("chat", "two")]


def test_nothing_is_lost_or_repeated_when_the_file_is_rotated(log: Path) -> None:
    follower, shown = follow(log)
    log.write_text("before\n")
    wait_until("the line before", lambda: shown)
    with log.open("a") as file:
        file.write("last of the old file\n")
    log.rename(log.with_suffix(".1"))
    log.write_text("first of the new file\n")
    follower.stop()
    assert [line for _, line in shown] == ["before", "last of the old file", "first of the new file"]
