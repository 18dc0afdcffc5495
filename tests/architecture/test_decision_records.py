"""Each architecture decision record has a number of its own and tells the same six things."""

import re
from pathlib import Path

import pytest

from tandem_local.checkout import ROOT

RECORDS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
SECTIONS = ["Context", "Decision", "Consequences", "Alternatives", "Enforced by", "Violated when"]


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_record_has_every_section_with_text_in_it(record: Path) -> None:
    headings = re.split(r"^## +(.+)$", record.read_text(), flags=re.MULTILINE)
    sections = dict(zip(headings[1::2], (text.strip() for text in headings[2::2]), strict=True))
    assert list(sections) == SECTIONS
    assert [name for name, text in sections.items() if not text] == []


def test_every_record_has_a_number_of_its_own() -> None:
    assert RECORDS, "docs/adr holds the decision records"
    numbers = [record.name[:4] for record in RECORDS]
    assert len(set(numbers)) == len(numbers), numbers
