"""Every module opens with its job, stays small, and has a name that says something."""

import ast
from pathlib import Path

from tandem_local.checkout import ROOT
from tests.architecture.sources import modules

LONGEST_MODULE_LINES = 400
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_module_opens_with_its_job() -> None:
    openings = {relative(m): ast.get_docstring(ast.parse(m.read_text())) or "" for m in modules()}
    assert openings
    silent = [
        name
        for name, opening in openings.items()
        if not opening.split("\n\n")[0].rstrip().endswith((".", ":", ")", "?"))
    ]
    assert silent == [], "a module opens with one to three sentences: its job, and what it leaves to others"


def test_no_module_is_too_long() -> None:
    lengths = {relative(module): len(module.read_text().splitlines()) for module in modules()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_MODULE_LINES} == {}


def test_no_module_has_an_empty_name() -> None:
    assert [relative(m) for m in modules() if {m.stem, *m.relative_to(ROOT).parts} & EMPTY_NAMES] == []
