"""The steps of `make tf-check`, each on its own, so that a failure says which kind of mistake it is."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from infra.check.fit import fit_problems
from infra.check.plan import read_plan
from infra.check.rules import BOOKS
from infra.check.source import source_problems, untested_folders
from infra.check.terraform import CHECKOUT, ENVIRONMENTS, CheckFailedError, Workspace

Result = TypeVar("Result")
_AT_ONCE = 2
_CHECKOV_CONFIG = Path(__file__).parent / "checkov.yaml"


def roots(space: Workspace) -> dict[str, str]:
    """Return what can be planned: name and folder."""
    return {"bootstrap": "bootstrap", **{name: f"environments/{name}" for name in ENVIRONMENTS}}


def folders(space: Workspace) -> list[str]:
    """Return every folder that is a configuration of its own: the roots and the modules."""
    modules = sorted(f"modules/{path.name}" for path in (space.tree / "modules").iterdir() if path.is_dir())
    return [*roots(space).values(), *modules]


def layout(space: Workspace) -> str:
    space.run(".", "fmt", "-check", "-recursive", "-diff", "-no-color")
    return "every file has the one layout"


def source(space: Workspace) -> str:
    _raise_all([*source_problems(space.tree), *untested_folders(space.tree)])
    return "providers, modules, types, descriptions and lifecycles are as agreed"


def validity(space: Workspace) -> str:
    def check(folder: str) -> None:
        space.initialize(folder)
        space.run(folder, "validate", "-no-color")

    _for_each(folders(space), check)
    return f"{len(folders(space))} configurations are valid"


def tests(space: Workspace) -> str:
    def check(folder: str) -> int:
        words = space.run(folder, "test", "-no-color")
        passed = re.search(r"(\d+) passed, 0 failed", words)
        if not passed or passed[1] == "0":
            raise CheckFailedError(f"terraform test in {folder} ran nothing:\n{words}")
        return int(passed[1])

    return f"{sum(_for_each(folders(space), check))} runs of terraform test passed"


def plans(space: Workspace) -> dict[str, Any]:
    """Return the plan of each root with its example values."""
    names = roots(space)
    return dict(zip(names, _for_each(list(names.values()), space.plan), strict=True))


def rules(shown: dict[str, Any]) -> str:
    broken = [
        (name, f"{root}: {problem}")
        for root, plan in shown.items()
        for book in BOOKS
        for name, problem in book.broken(read_plan(root, plan))
    ]
    _raise_all(broken)
    return f"{sum(len(book.rules) for book in BOOKS)} rules hold for {', '.join(shown)}"


def fit(space: Workspace) -> str:
    _raise_all(
        [
            ("engines_fit_the_card", problem)
            for name in ENVIRONMENTS
            for problem in fit_problems(name, space.tree)
        ]
    )
    return "the engines of every environment fit their card"


def checkov(shown: dict[str, Any], folder: Path) -> str:
    for name, plan in shown.items():
        (folder / f"{name}.json").write_text(json.dumps(plan))
    command = [
        str(Path(sys.executable).parent / "checkov"),
        "--directory",
        str(folder),
        "--config-file",
        str(_CHECKOV_CONFIG),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CHECKOUT)
    summary = re.search(r"Passed checks: (\d+), Failed checks: (\d+)", done.stdout)
    if done.returncode != 0 or not summary or int(summary[1]) == 0:
        raise CheckFailedError(f"checkov:\n{done.stdout}{done.stderr}")
    return f"{summary[1]} checks of checkov passed"


def _for_each(items: list[str], work: Callable[[str], Result]) -> list[Result]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(work, items))


def _raise_all(problems: list[tuple[str, str]]) -> None:
    if problems:
        raise CheckFailedError("\n".join(f"{name}: {problem}" for name, problem in problems))


def broken_rules(shown: dict[str, Any], root: str) -> Iterator[tuple[str, str]]:
    """Yield the rules that one plan breaks, for tests."""
    for book in BOOKS:
        yield from book.broken(read_plan(root, shown))
