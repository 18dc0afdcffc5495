"""The user's .env: what is read, what wins, and what is said about a line that cannot be read."""

import os
from pathlib import Path

import pytest

from tandem_local.complaint import ComplaintError
from tandem_local.env_file import load_env_file


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ONE", "TWO", "THREE"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)


def test_values_are_set_when_the_environment_lacks_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWO", "already here")
    env_file = tmp_path / ".env"
    env_file.write_text('# a comment\n\nexport ONE="with space"  # why\nTWO=ignored\nTHREE=\n')
    load_env_file(env_file)
    assert [os.environ[name] for name in ("ONE", "TWO", "THREE")] == ["with space", "already here", ""]


def test_nothing_happens_when_there_is_no_file(tmp_path: Path) -> None:
    load_env_file(tmp_path / ".env")
    assert "ONE" not in os.environ


@pytest.mark.parametrize("line", ["just words", "=value", "A-B=1", "ONE='open"])
def test_the_line_is_named_when_it_cannot_be_read(tmp_path: Path, line: str) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(f"# first\n{line}\n")
    with pytest.raises(ComplaintError, match="line 2"):
        load_env_file(env_file)
