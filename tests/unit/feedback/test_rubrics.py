"""Rubrics are found by id and version, and a broken file stops the start with its name."""

from pathlib import Path

import pytest

from tandem_contracts.feedback import RubricRef
from tandem_feedback.adapters.rubric_files import RUBRIC_FILES, load_rubrics
from tandem_feedback.domain.errors import UnknownRubricError
from tandem_feedback.domain.rubric import Rubric, Rubrics

RUBRIC_FILE = """
id = "code"
version = 2
title = "Code"
instructions = "Judge."
criteria = ["Correctness"]
"""


def rubric(rubric_id: str, version: int) -> Rubric:
    return Rubric(rubric_id, version, "Title", "Judge.", ("Clarity",))


@pytest.fixture
def rubrics() -> Rubrics:
    return Rubrics([rubric("general", 1), rubric("general", 10), rubric("general", 9), rubric("code", 1)])


def test_newest_version_is_found_when_none_is_named(rubrics: Rubrics) -> None:
    assert rubrics.find(RubricRef(id="general")).version == 10


def test_older_version_is_found_when_named(rubrics: Rubrics) -> None:
    assert rubrics.find(RubricRef(id="general", version=9)).version == 9


@pytest.mark.parametrize("wanted", [RubricRef(id="poetry"), RubricRef(id="code", version=2)])
def test_known_rubrics_are_listed_when_the_wanted_one_is_unknown(rubrics: Rubrics, wanted: RubricRef) -> None:
    with pytest.raises(UnknownRubricError, match=r"expected one of code v1, general v1, .*got " + wanted.id):
        rubrics.find(wanted)


def test_general_rubric_ships_with_the_service() -> None:
    found = load_rubrics().find(RubricRef())
    assert found.id == "general"
    assert found.criteria
    assert found.instructions == found.instructions.strip()


def test_released_versions_stay_in_the_package() -> None:
    assert (RUBRIC_FILES / "general.v1.toml").is_file()


def test_file_becomes_a_rubric(tmp_path: Path) -> None:
    (tmp_path / "code.v2.toml").write_text(RUBRIC_FILE)
    found = load_rubrics(tmp_path).find(RubricRef(id="code"))
    assert (found.version, found.criteria) == (2, ("Correctness",))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("code.v2.toml", RUBRIC_FILE.replace("criteria", "criterions")),
        ("code.v2.toml", RUBRIC_FILE + "weight = 3\n"),
        ("code.v1.toml", RUBRIC_FILE),
        ("code.v2.toml", "id = "),
    ],
    ids=["field missing", "field unknown", "another name", "no TOML"],
)
def test_broken_file_is_named(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=rf"^{name}"):
        load_rubrics(tmp_path)
