"""Rubrics are found by id and version, and a broken file stops the start with its name."""

import re
from pathlib import Path

import pytest

from tandem_contracts.feedback import RubricRef
from tandem_feedback.adapters.rubric_files import load_rubrics
from tandem_feedback.domain.errors import UnknownRubricError
from tandem_feedback.domain.output_shape import judgement_schema
from tandem_feedback.domain.rubric import LongTranscripts, Rubric, RubricFileError, Rubrics

RUBRIC_FILE = """
id = "code"
version = 2
title = "Code"
instructions = "Judge."
criteria = ["Correctness"]
"""

SCORED_FILE = """
id = "code"
version = 3
title = "Code"
language = "en"
long_transcripts = "map_reduce"
instructions = "Judge."

[[criteria]]
id = "tests"
title = "Tests"
description = "There are tests."
weight = 2
scale = { 0 = "none", 10 = "many" }
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


SHIPPED = load_rubrics().all()
LANGUAGES = ["customer-support", "general", "interview-practice", "language-tutor"]


def test_general_is_the_rubric_when_a_request_names_none() -> None:
    found = load_rubrics().find(RubricRef())
    assert (found.id, found.version) == ("general", 2)


def test_every_subject_ships_in_korean_and_english() -> None:
    languages = {rubric.id: rubric.language for rubric in SHIPPED}
    for subject in LANGUAGES:
        assert languages[f"{subject}-ko"] == "ko"
        english = f"{subject}-en" if subject != "general" else subject
        assert languages[english] in ("en", None)


def test_first_general_rubric_judges_as_it_was_released() -> None:
    first = load_rubrics().find(RubricRef(id="general", version=1))
    assert (len(first.criteria), first.scored_criteria) == (4, ())
    schema = judgement_schema(first)
    assert list(schema["properties"]) == ["summary", "strengths", "improvements", "score"]
    assert schema["properties"]["summary"] == {"type": "string", "minLength": 1, "maxLength": 240}


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda rubric: f"{rubric.id}.v{rubric.version}")
def test_shipped_rubric_is_in_the_language_that_it_names(shipped: Rubric) -> None:
    texts = [
        shipped.title,
        shipped.instructions,
        *shipped.criteria,
        *[t for c in shipped.scored_criteria for t in (c.title, c.description, *c.scale.values())],
    ]
    korean = [text for text in texts if re.search("[가-힣]", text)]
    assert korean == (texts if shipped.language == "ko" else [])


def test_file_with_plain_criteria_becomes_a_rubric(tmp_path: Path) -> None:
    (tmp_path / "code.v2.toml").write_text(RUBRIC_FILE)
    found = load_rubrics(shipped=tmp_path).find(RubricRef(id="code"))
    assert (found.version, found.criteria, found.scored_criteria) == (2, ("Correctness",), ())


def test_file_with_scored_criteria_becomes_a_rubric(tmp_path: Path) -> None:
    (tmp_path / "code.v3.toml").write_text(SCORED_FILE)
    found = load_rubrics(shipped=tmp_path).find(RubricRef(id="code"))
    assert (found.language, found.long_transcripts) == ("en", LongTranscripts.MAP_REDUCE)
    (criterion,) = found.scored_criteria
    assert (criterion.id, criterion.lowest, criterion.highest, criterion.weight) == ("tests", 0, 10, 2)


def test_operators_own_rubrics_stand_beside_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "code.v3.toml").write_text(SCORED_FILE)
    rubrics = load_rubrics(tmp_path)
    assert rubrics.find(RubricRef(id="code")).version == 3
    assert rubrics.find(RubricRef(id="general", version=1))


def test_version_that_ships_cannot_be_replaced(tmp_path: Path) -> None:
    own = RUBRIC_FILE.replace('"code"', '"general"')
    (tmp_path / "general.v2.toml").write_text(own)
    with pytest.raises(RubricFileError, match=r"general version 2 is there already.*raise version"):
        load_rubrics(tmp_path)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RubricFileError, match="nowhere: expected a folder"):
        load_rubrics(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("code.v2.toml", RUBRIC_FILE.replace("criteria", "criterions"), "criteria: this field is missing"),
        ("code.v2.toml", RUBRIC_FILE + "weight = 3\n", "weight: this field is not known"),
        ("code.v1.toml", RUBRIC_FILE, "code.v2.toml; rename the file"),
        ("code.v2.toml", "id = ", "readable TOML"),
        ("code.v2.toml", RUBRIC_FILE.replace("2", '"two"'), "version: .*got 'two'"),
        ("code.v2.toml", RUBRIC_FILE.replace('["Correctness"]', "[]"), "criteria: .*at least 1"),
        ("code.v3.toml", SCORED_FILE.replace('"tests"', '"the tests"'), r"criteria\.0\.id: .*'the tests'"),
        ("code.v3.toml", SCORED_FILE.replace("0 =", "low ="), r"criteria\.0\.scale\.low"),
        ("code.v3.toml", SCORED_FILE.replace('0 = "none", ', ""), r"criteria\.0\.scale: .*at least 2"),
        ("code.v3.toml", SCORED_FILE.replace('"en"', '"fr"'), "language: .*got 'fr'"),
        ("code.v3.toml", SCORED_FILE + SCORED_FILE[SCORED_FILE.index("[[") :], "tests stands there twice"),
        ("code.v3.toml", SCORED_FILE.replace('"map_reduce"', '"all"'), "long_transcripts: .*'trim'"),
    ],
    ids=lambda value: value if " " in value and "\n" not in value else "",
)
def test_broken_file_is_explained_with_its_field(tmp_path: Path, name: str, content: str, told: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(RubricFileError, match=rf"^{name}: .*{told}"):
        load_rubrics(shipped=tmp_path)
