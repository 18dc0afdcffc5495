"""Explains a failing start: recognises what vLLM printed, says what it means, and plans what would start instead."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from tandem_inference.planner.answer import as_json
from tandem_inference.planner.reported.log_parser import LARGEST_LOG, ParsedLog, parse_log
from tandem_inference.planner.reported.prediction import Prediction, predict_settings


@dataclass(frozen=True, slots=True)
class Finding:
    """One recognised line: what it means and what to do, with the line's own numbers."""

    id: str
    line: str
    cause: str
    remedy: str

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "line": self.line, "cause": self.cause, "remedy": self.remedy}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings, the settings read from the log, and the planner's view of those settings if it has one."""

    findings: tuple[Finding, ...]
    parsed: ParsedLog
    prediction: Prediction

    def as_json(self) -> dict[str, Any]:
        answer = self.prediction.estimate
        row = self.parsed.row
        return {
            "findings": [one.as_json() for one in self.findings],
            "read_from_log": {
                "model": row.model,
                "vllm_version": row.vllm_version,
                "gpu": row.gpu,
                "gpu_total_gib": row.gpu_total_gib,
                "gpu_memory_utilization": row.gpu_memory_utilization,
                "max_model_len": row.max_model_len,
                "weights_gib": row.weights_gib,
                "kv_cache_gib": row.kv_cache_gib,
                "kv_cache_tokens": row.kv_cache_tokens,
            },
            "plan": None if answer is None else as_json(answer),
            "no_plan_because": self.prediction.skipped or None,
        }


@cache
def _symptoms() -> tuple[tuple[str, re.Pattern[str], str, str], ...]:
    text = (files("tandem_inference.planner") / "data" / "symptoms.json").read_text(encoding="utf-8")
    return tuple(
        (one["id"], re.compile(one["pattern"]), one["cause"], one["remedy"]) for one in json.loads(text)
    )


def find_symptoms(text: str) -> tuple[Finding, ...]:
    """What of the known failures the text shows; a special one hides the general one on the same line."""
    found: list[Finding] = []
    seen: set[int] = set()
    for name, pattern, cause, remedy in _symptoms():
        match = pattern.search(text)
        if match is None or match.start() in seen:
            continue
        seen.add(match.start())
        values = [group or "?" for group in match.groups()]
        line = match[0].strip().splitlines()[-1][:300]
        found.append(Finding(name, line, cause.format(*values), remedy.format(*values)))
    return tuple(found)


def diagnose(text: str) -> Diagnosis:
    """Never raises, whatever the text."""
    text = text[:LARGEST_LOG]
    parsed = parse_log(text)
    return Diagnosis(find_symptoms(text), parsed, predict_settings(parsed.row))
