"""The command line of the checks: everything, one environment's plan or fit, or a new schema of the provider."""

import argparse
import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from infra.check import steps
from infra.check.fit import fit_report
from infra.check.provider_version import SCHEMA_FILE
from infra.check.schema.extraction import dump, extract
from infra.check.terraform import TREE, CheckFailedError, Workspace, workspace

Result = TypeVar("Result")


def main() -> int:
    options = _parser().parse_args()
    try:
        _COMMANDS[options.command](options)
    except (CheckFailedError, LookupError) as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    return 0


def _check(options: argparse.Namespace) -> None:
    if shutil.which("terraform") is None:
        print("tf-check: SKIPPED, there is no terraform here (1.11 or newer is needed)")
        return
    started = time.monotonic()
    with workspace() as space, tempfile.TemporaryDirectory(prefix="tandem-plans-") as folder:
        print(
            f"tf-check with {'the real google provider' if space.real else 'a stand-in for the google provider'}",
            flush=True,
        )
        _check_all(space, Path(folder))
    print(f"tf-check: everything holds, after {time.monotonic() - started:.0f} s")


def _check_all(space: Workspace, folder: Path) -> None:
    _tell("layout", lambda: steps.layout(space))
    _tell("source", lambda: steps.source(space))
    _tell("validity", lambda: steps.validity(space))
    _tell("tests", lambda: steps.tests(space))
    shown: dict[str, object] = {}
    _tell("plans", lambda: shown.update(steps.plans(space)) or f"{', '.join(shown)} can be planned")
    _tell("rules", lambda: steps.rules(shown))
    _tell("fit", lambda: steps.fit(space))
    _tell("checkov", lambda: steps.checkov(shown, folder))


def _tell(name: str, step: Callable[[], str]) -> None:
    started = time.monotonic()
    words = step()
    print(f"  {name:10}{time.monotonic() - started:6.1f} s  {words}", flush=True)


def _plan(options: argparse.Namespace) -> None:
    with workspace(options.tree) as space:
        shown = space.plan(steps.roots(space)[options.root])
    options.out.write_text(json.dumps(shown))


def _fit(options: argparse.Namespace) -> None:
    print(fit_report(options.environment))


def _schema(options: argparse.Namespace) -> None:
    text = "\n".join(path.read_text() for path in TREE.rglob("*.tf"))
    SCHEMA_FILE.write_text(
        dump(extract(options.wheel, set(re.findall(r'^resource "(google_\w+)"', text, re.MULTILINE))))
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.check", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("all", help="everything that make tf-check does")
    plan = commands.add_parser("plan", help="write a root's plan, with its example values, as JSON")
    plan.add_argument("root", choices=["bootstrap", "dev", "prod"])
    plan.add_argument("out", type=Path)
    plan.add_argument("--tree", type=Path, default=TREE, help="another copy of infra/terraform")
    fit = commands.add_parser("fit", help="ask the memory planner whether an environment's engines fit")
    fit.add_argument("environment")
    schema = commands.add_parser(
        "schema", help="take the provider's schema from the PyPI package cdktn-provider-google"
    )
    schema.add_argument("wheel", type=Path)
    return parser


_COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "all": _check,
    "plan": _plan,
    "fit": _fit,
    "schema": _schema,
}

if __name__ == "__main__":
    sys.exit(main())
