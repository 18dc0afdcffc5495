"""Reads the rubric files that ship with the service; a broken one stops the start, not a request."""

import tomllib
from pathlib import Path

from tandem_feedback.domain.rubric import Rubric, Rubrics

RUBRIC_FILES = Path(__file__).parents[1] / "rubrics"


def load_rubrics(folder: Path = RUBRIC_FILES) -> Rubrics:
    """Load every `*.toml` of `folder`.

    Raises:
        ValueError: a file lacks a field or has one that is not known; the text names the file.
    """
    return Rubrics([_load(path) for path in sorted(folder.glob("*.toml"))])


def _load(path: Path) -> Rubric:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        rubric = Rubric(
            **{
                **content,
                "criteria": tuple(content["criteria"]),
                "instructions": content["instructions"].strip(),
            }
        )
    except (KeyError, TypeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(
            f"{path.name}: expected id, version, title, instructions, criteria ({error})"
        ) from error
    if path.name != f"{rubric.id}.v{rubric.version}.toml":
        raise ValueError(f"{path.name}: expected the file to be called {rubric.id}.v{rubric.version}.toml")
    return rubric
