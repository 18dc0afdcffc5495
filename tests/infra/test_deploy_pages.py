"""What people read and what watches them names things that exist: metrics, runbooks, make targets."""

import re

from infra.check.terraform import TREE
from tandem_local.checkout import ROOT
from tandem_telemetry import names

RUNBOOKS = ROOT / "docs" / "runbooks"


def test_alerts_ask_for_metrics_that_the_services_have() -> None:
    asked = set(re.findall(r"\btandem_\w+", (TREE / "modules" / "alerts" / "main.tf").read_text()))
    known = {value.replace(".", "_") for value in vars(names).values() if isinstance(value, str)}
    assert asked
    assert {name for name in asked if name.removesuffix("_seconds_bucket") not in known} == set()


def test_runbooks_that_are_named_exist() -> None:
    pages = [*TREE.rglob("*.tf"), *RUNBOOKS.glob("*.md"), TREE / "README.md"]
    for page in pages:
        text = page.read_text()
        named = set(re.findall(r"docs/runbooks/([\w-]+\.md)", text))
        if page.parent == RUNBOOKS:
            named |= set(re.findall(r"\]\(([\w-]+\.md)\)", text))
        assert {name for name in named if not (RUNBOOKS / name).exists()} == set(), page


def test_workflows_and_runbooks_call_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = [*(ROOT / ".github" / "workflows").glob("*.yaml"), *RUNBOOKS.glob("*.md"), TREE / "README.md"]
    called = {name for page in pages for name in re.findall(r"(?:run: |`)make ([a-z-]+)", page.read_text())}
    assert called
    assert called - targets == set()
