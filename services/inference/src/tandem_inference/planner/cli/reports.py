"""The commands `compare` and `doctor`: reading what engines have printed."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tandem_inference.planner.cli.engines import Answer, estimate_text
from tandem_inference.planner.cli.tables import Cell, percent, table
from tandem_inference.planner.errors import UnreadableConfigError
from tandem_inference.planner.reported.comparison import Compared, Comparison, compare
from tandem_inference.planner.reported.doctor import Diagnosis, diagnose
from tandem_inference.planner.reported.log_parser import LARGEST_LOG, parse_log
from tandem_inference.planner.reported.prediction import predict_settings
from tandem_inference.planner.reported.rows import Reported, read_rows


def read_text(path: Path) -> str:
    """Raises `UnreadableConfigError` when the file cannot be read."""
    if str(path) == "-":
        return sys.stdin.read(LARGEST_LOG)
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            return file.read(LARGEST_LOG)
    except OSError as error:
        raise UnreadableConfigError(f"cannot read {path}: {error.strerror}", field="file") from error


def is_table(text: str) -> bool:
    first = text.split("\n", maxsplit=1)[0]
    return "kv_cache_gib" in first and "," in first


def _with_card(row: Reported, words: argparse.Namespace) -> Reported:
    return replace(row, gpu=row.gpu or words.gpu, gpu_total_gib=row.gpu_total_gib or words.gpu_total_gib)


def _rows(text: str, words: argparse.Namespace) -> list[Reported]:
    found = list(read_rows(text)) if is_table(text) else [parse_log(text, source=str(words.file)).row]
    return [_with_card(row, words) for row in found]


def _cell(one: Compared, name: str) -> str:
    pair = one.pair(name)
    if pair is None:
        return "-"
    return f"{pair.predicted:.2f} / {pair.reported:.2f}  {percent(pair.error)}"


def _text(found: Comparison, summary: dict[str, Any]) -> str:
    rows: list[list[Cell]] = [
        [
            (one.prediction.row.model or "")[-44:],
            str(one.answer.engine.rules.release),
            one.answer.engine.gpu.id,
            _cell(one, "weights_gib"),
            _cell(one, "activation_gib"),
            _cell(one, "kv_cache_gib"),
            {None: "?", True: "right", False: "WRONG"}[one.start_right],
        ]
        for one in found.compared
    ]
    header = ("model", "vLLM", "card", "weights ours / log", "peak ours / log", "KV GiB ours / log", "start")
    return "\n".join(
        [
            table(header, rows) if rows else "no row could be answered",
            "",
            (
                f"rows {summary['rows']}, KV error median {percent(summary['kv_gib_error_median'])}, "
                f"95th percentile {percent(summary['kv_gib_error_p95'])}, weights median "
                f"{percent(summary['weights_error_median'])}, start or no start right {percent(summary['start_right'])} "
                f"of {summary['start_known']} known"
            ),
            *(f"skipped {one['model'] or 'a row'}: {one['reason']}" for one in summary["skipped"]),
        ]
    )


def compare_command(words: argparse.Namespace) -> Answer:
    found = compare(_rows(read_text(words.file), words))
    summary = found.summary()
    document = {"rows": [one.as_json() for one in found.compared], "summary": summary}
    return document, _text(found, summary), bool(found.compared)


def _diagnosis_text(found: Diagnosis, document: dict[str, Any]) -> str:
    lines = []
    for one in found.findings:
        lines += [f"{one.id}: {one.line}", f"  why:  {one.cause}", f"  do:   {one.remedy}", ""]
    if not found.findings:
        lines += ["no known failure is in this log", ""]
    if document["plan"] is not None:
        lines += ["the same settings, planned:", estimate_text(document["plan"])]
    elif found.prediction.skipped:
        lines.append(f"no plan for these settings: {found.prediction.skipped}")
    return "\n".join(lines)


def doctor_command(words: argparse.Namespace) -> Answer:
    text = read_text(words.file)
    found = diagnose(text)
    if words.gpu or words.gpu_total_gib:
        row = _with_card(found.parsed.row, words)
        found = replace(found, prediction=predict_settings(row))
    document = found.as_json()
    return document, _diagnosis_text(found, document), bool(found.findings)
