"""Reads the user's `.env` at the root into the process environment; a variable already set wins."""

import os
import shlex
from pathlib import Path

from tandem_local.complaint import ComplaintError


def load_env_file(path: Path) -> None:
    """Set each NAME=value of the file that is not set yet. Lines may be empty, comments, or start with `export`.

    Raises:
        ComplaintError: A line is none of these; the message names it.
    """
    if not path.exists():
        return
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ComplaintError(f"{path}, line {number}: expected NAME=value, found {line!r}.")
        os.environ.setdefault(name.strip(), _unquoted(value, path, number))


def _unquoted(value: str, path: Path, number: int) -> str:
    try:
        return " ".join(shlex.split(value, comments=True))
    except ValueError as error:
        raise ComplaintError(f"{path}, line {number}: {error} in {value.strip()!r}.") from None
