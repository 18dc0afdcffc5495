"""Only what was really said stands as evidence, in the transcript's own words, however the model writes it down."""

import unicodedata

import pytest

from tandem_contracts.feedback import Evidence, Turn
from tandem_feedback.domain.evidence import Transcript

TURNS = [
    Turn(role="user", content="프랑스의 수도는 어디인가요?"),
    Turn(
        role="assistant",
        content='The “capital” of France\nis  Paris — it\u2019s on the Seine. Use `a < b` and "x\\n".',
    ),
    Turn(role="user", content="4"),
    Turn(role="user", content="Straße und Café"),
]
TRANSCRIPT = Transcript(TURNS)


@pytest.mark.parametrize(
    ("quote", "expected", "turn"),
    [
        ("capital", "capital", 1),
        ('The "capital" of France is Paris', "The “capital” of France\nis  Paris", 1),
        ("  \"the 'CAPITAL' of france...\"", "The “capital” of France", 1),
        ("Paris - it's on the Seine", "Paris — it\u2019s on the Seine", 1),
        ("of France\\nis Paris", "of France\nis  Paris", 1),
        ("Use `a \\u003c b`", "Use `a < b", 1),
        ("프랑스의 수도는", "프랑스의 수도는", 0),
        ("프랑스의 수도", "프랑스의 수도", 0),
        (unicodedata.normalize("NFD", "수도는 어디"), "수도는 어디", 0),
        ("4.", "4", 2),
        ("STRASSE", "Straße", 3),
        (unicodedata.normalize("NFD", "café"), "Café", 3),
    ],
)
def test_quote_is_found_however_it_is_written_down(quote: str, expected: str, turn: int) -> None:
    assert TRANSCRIPT.find(quote) == Evidence(quote=expected, turn=turn)
    assert expected in TURNS[turn].content


@pytest.mark.parametrize(
    "quote",
    [
        "The capital of Spain",
        "London",
        "Franc",
        "apital",
        "는",
        "s",
        "",
        " ... ",
        "Seine Use",
        "어디인가요? The",
        "France is Paris is",
    ],
)
def test_what_nobody_said_is_no_evidence(quote: str) -> None:
    assert TRANSCRIPT.find(quote) is None


def test_decomposed_transcript_is_quoted_as_it_is() -> None:
    decomposed = unicodedata.normalize("NFD", "수도는 Café")
    assert Transcript([Turn(role="user", content=decomposed)]).find("수도는 café") == Evidence(
        quote=decomposed, turn=0
    )


def test_true_quotes_are_kept_once_and_false_ones_counted() -> None:
    kept, dropped = TRANSCRIPT.keep_true(["Paris", "paris", "Berlin", "Rome", "Seine"])
    assert [evidence.quote for evidence in kept] == ["Paris", "Seine"]
    assert dropped == 2


def test_turns_are_numbered_from_where_the_part_begins() -> None:
    assert Transcript(TURNS[2:], first=2).find("4") == Evidence(quote="4", turn=2)


@pytest.mark.parametrize("said", ["C:\\temp", "\\", "a\\", "\\p\\u12", "\\\u0301", "\\ud800"])
def test_backslash_that_begins_no_escape_is_a_character_like_any_other(said: str) -> None:
    turns = [Turn(role="user", content=f"path {said} end")]
    assert Transcript(turns).find(f"path {said} end") == Evidence(quote=f"path {said} end", turn=0)
