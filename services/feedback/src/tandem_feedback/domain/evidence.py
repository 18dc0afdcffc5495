"""Checks quotes against the transcript: only what was really said may stand as evidence.

Compared are letters as people read them: composed Unicode (NFC), case folded, any run of white space as one space, curly
quotes, dashes and ellipses as their plain forms, JSON escapes undone. What is kept is the transcript's own wording.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tandem_contracts.feedback import Evidence, Turn

_PLAIN = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′`´「」『』", "'"),  # noqa: RUF001 - these are what is replaced
        **dict.fromkeys('“”„‟″«»"', "'"),
        **dict.fromkeys("‐‑‒–—―−", "-"),  # noqa: RUF001
        "…": "...",
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", None),
    }
)
# What a model puts around a quote without meaning it: quotation marks, an ellipsis, a full stop.
_AROUND = " '.,;:!?-"
_ESCAPES = {"\\n": " ", "\\r": " ", "\\t": " ", '\\"': '"', "\\/": "/", "\\\\": "\\"}
_ESCAPE = re.compile(r'\\(?:[nrt"/\\]|u[0-9a-fA-F]{4})')
_LEAST_LETTERS = 2
# Scripts from here on join words and their endings without a space, so a quote may end inside such a run.
_FIRST_UNSPACED = 0x1100


@dataclass(frozen=True)
class _Folded:
    """A turn's text as it is compared; `origins[i]` is the slice of `original` that made character i."""

    text: str
    origins: list[tuple[int, int]]
    original: str


class Transcript:
    """The turns that quotes may come from; `first` is the place of the first one in the request's transcript."""

    def __init__(self, turns: Sequence[Turn], *, first: int = 0) -> None:
        self._turns = [_fold(turn.content) for turn in turns]
        self._first = first

    def find(self, quote: str) -> Evidence | None:
        """Return `quote` in the transcript's own words with its turn, or None when nobody said that."""
        wanted = _fold(quote).text.strip(_AROUND)
        if not wanted:
            return None
        for number, turn in enumerate(self._turns):
            if (found := _find(wanted, turn)) is not None:
                return Evidence(quote=found, turn=self._first + number)
        return None

    def keep_true(self, quotes: Iterable[str]) -> tuple[tuple[Evidence, ...], int]:
        """Return the quotes that occur, each once, and how many do not occur."""
        found = [self.find(quote) for quote in quotes]
        kept = dict.fromkeys(evidence for evidence in found if evidence is not None)
        return tuple(kept), found.count(None)


def _find(wanted: str, turn: _Folded) -> str | None:
    too_short = sum(character.isalnum() for character in wanted) < _LEAST_LETTERS
    if too_short and wanted != turn.text.strip(_AROUND):
        return None  # a letter or a digit is found anywhere
    start = turn.text.find(wanted)
    while start >= 0:
        end = start + len(wanted)
        if not _splits_a_word(turn.text, start) and not _splits_a_word(turn.text, end):
            return turn.original[turn.origins[start][0] : turn.origins[end - 1][1]]
        start = turn.text.find(wanted, start + 1)
    return None


def _splits_a_word(text: str, position: int) -> bool:
    around = text[max(0, position - 1) : position + 1]
    return len(around) == 2 and all(
        character.isalnum() and ord(character) < _FIRST_UNSPACED for character in around
    )


def _fold(original: str) -> _Folded:
    characters: list[str] = []
    origins: list[tuple[int, int]] = []
    for start, end in _units(original):
        unit = original[start:end]
        # A backslash need not begin an escape: people write paths and formulas.
        plain = _unescaped(unit) if _ESCAPE.fullmatch(unit) else unit
        for character in unicodedata.normalize("NFC", plain).translate(_PLAIN).casefold():
            if character.isspace():
                if characters and characters[-1] == " ":
                    continue
                character = " "  # noqa: PLW2901 - the plain form of the same character
            characters.append(character)
            origins.append((start, end))
    return _Folded("".join(characters), origins, original)


def _units(text: str) -> Iterable[tuple[int, int]]:
    """Yield the slices of `text` that are one character to a reader: a letter with its marks, or one JSON escape."""
    start = 0
    while start < len(text):
        if escape := _ESCAPE.match(text, start):
            end = escape.end()
        else:
            end = start + 1
            while end < len(text) and _joins_what_is_before(text[end]):
                end += 1
        yield start, end
        start = end


def _joins_what_is_before(character: str) -> bool:
    # Decomposed Hangul: vowels and final consonants follow their first consonant.
    return unicodedata.combining(character) != 0 or "\u1160" <= character <= "\u11ff"


def _unescaped(escape: str) -> str:
    if escape[1] == "u":
        character = chr(int(escape.removeprefix("\\u"), base=16))
        return escape if unicodedata.category(character) == "Cs" else character  # half of a pair is no text
    return _ESCAPES[escape]
