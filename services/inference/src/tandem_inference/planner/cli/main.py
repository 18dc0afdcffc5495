"""`tandem-plan`: runs one command, prints its answer as text or JSON, and tells by the exit code how it went.

Exit codes: 0 all is well, 1 the answer is no (does not start, does not fit, nothing recognised), 2 wrong input.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from tandem_inference.planner.cli.engines import Answer, estimate_command, plan_command
from tandem_inference.planner.cli.reports import compare_command, doctor_command
from tandem_inference.planner.cli.tables import Cell, table
from tandem_inference.planner.cli.words import build_parser
from tandem_inference.planner.errors import InvalidValueError, PlannerError
from tandem_inference.planner.gpus import all_gpus


def gpus_command(words: argparse.Namespace) -> Answer:
    rows: list[list[Cell]] = [
        [gpu.id, gpu.total_gib, gpu.context_gib, f"{gpu.idle_share:.3f}", gpu.multiprocessors]
        for gpu in all_gpus()
    ]
    found: dict[str, Any] = {
        "gpus": [
            {"id": gpu.id, "total_gib": gpu.total_gib, "context_gib": gpu.context_gib, "source": gpu.source}
            for gpu in all_gpus()
        ]
    }
    return found, table(("card", "CUDA total GiB", "context GiB", "largest share", "SMs"), rows), True


def models_command(words: argparse.Namespace) -> Answer:
    from tandem_inference.planner.catalogue import closed_models, entries

    rows: list[list[Cell]] = [[one.family, one.id, ", ".join(one.aliases)] for one in entries()]
    rows += [["closed, not servable", one.id, one.maker] for one in closed_models()]
    found = {
        "models": [{"id": one.id, "family": one.family, "source": one.source} for one in entries()],
        "closed": [{"id": one.id, "maker": one.maker} for one in closed_models()],
    }
    return found, table(("family", "model", "also known as"), rows), True


def serve_command(words: argparse.Namespace) -> Answer:
    from tandem_inference.planner.http.standalone import serve

    if not 0 < words.port < 65536:
        raise InvalidValueError(f"--port must be between 1 and 65535; got {words.port}", field="port")

    return {}, "", serve(words.host, words.port)


COMMANDS: dict[str, Callable[[argparse.Namespace], Answer]] = {
    "estimate": estimate_command,
    "plan": plan_command,
    "compare": compare_command,
    "doctor": doctor_command,
    "gpus": gpus_command,
    "models": models_command,
    "serve": serve_command,
}


def run(arguments: Sequence[str]) -> int:
    words = build_parser().parse_args(arguments)
    try:
        document, text, well = COMMANDS[words.command](words)
    except PlannerError as error:
        if getattr(words, "json", False):
            failure = {"error": {"code": error.code, "field": error.field, "message": error.message}}
            sys.stdout.write(json.dumps(failure, indent=2) + "\n")
        sys.stderr.write(f"tandem-plan: {error.message}\n")
        return 2
    if words.command != "serve":
        answer = json.dumps(document, indent=2, allow_nan=False) if words.json else text
        sys.stdout.write(answer + "\n")
    return 0 if well else 1


def main() -> None:
    """The console script. A reader that goes away (`| head`) ends it quietly."""
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
