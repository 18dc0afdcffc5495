"""A conversation is named after its first message."""

import pytest

from tandem_chat.domain.conversation import TITLE_CHARS, title_from


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("How do I bake bread?", "How do I bake bread?"),
        ("\n\n  Dear model,\nplease answer.", "Dear model,"),
        ("한국어로 대답해 줘", "한국어로 대답해 줘"),
        ("x" * TITLE_CHARS, "x" * TITLE_CHARS),
        ("x" * (TITLE_CHARS + 1), "x" * TITLE_CHARS + "…"),
    ],
)
def test_title_is_the_first_line_with_text(message: str, title: str) -> None:
    assert title_from(message) == title


def test_long_title_is_cut_between_words() -> None:
    title = title_from("every word of this message stays whole although the message goes on and on")

    assert title == "every word of this message stays whole although the message…"
    assert len(title) <= TITLE_CHARS + 1
