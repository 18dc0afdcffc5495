"""Reads flags out of a row's free text, for what the columns have no room for: LoRA, stages, the engine's generation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from tandem_inference.planner.releases import Engine

RELEASED: Final = (
    (date(2024, 6, 1), "0.5.0"),
    (date(2024, 9, 4), "0.6.0"),
    (date(2024, 11, 15), "0.6.4"),
    (date(2025, 1, 27), "0.7.0"),
    (date(2025, 3, 19), "0.8.0"),
    (date(2025, 5, 27), "0.9.0"),
    (date(2025, 7, 24), "0.10.0"),
    (date(2025, 10, 2), "0.11.0"),
    (date(2025, 12, 3), "0.12.0"),
    (date(2026, 1, 20), "0.14.0"),
    (date(2026, 3, 7), "0.17.0"),
    (date(2026, 4, 3), "0.19.0"),
)
"""Release days (vLLM's GitHub releases), to date a log that does not name its version."""


ISSUE_DAYS: Final = (
    (4700, date(2024, 5, 10)),
    (9352, date(2024, 10, 15)),
    (10511, date(2024, 11, 21)),
    (13882, date(2025, 2, 26)),
    (17885, date(2025, 5, 9)),
    (21348, date(2025, 7, 22)),
    (27508, date(2025, 10, 25)),
    (30515, date(2025, 12, 11)),
    (33155, date(2026, 1, 27)),
    (41714, date(2026, 5, 5)),
    (45178, date(2026, 6, 10)),
    (49224, date(2026, 7, 20)),
    (53013, date(2026, 8, 19)),
)
"""When vLLM's issue numbers were given, to date a log known only by its issue."""


@dataclass(frozen=True, slots=True)
class Hints:
    """Settings a row mentions only in its source or notes."""

    version: str | None = None
    engine: Engine | None = None
    max_loras: int = 0
    max_lora_rank: int = 16
    pipeline_parallel: int = 1
    block_size: int | None = None
    cpu_offload_gib: float = 0.0
    requested_gib: float | None = None


def _number(pattern: str, text: str) -> int | None:
    match = re.search(pattern, text)
    return int(match[1]) if match else None


def _decimal(pattern: str, text: str) -> float | None:
    match = re.search(pattern, text)
    return float(match[1]) if match else None


def _named_version(text: str) -> str | None:
    match = re.search(r"(?:vllm[- ]?|pins the |\bv)v?(0\.\d+\.\d+)", text, re.IGNORECASE)
    return match[1] if match else None


def _day(text: str) -> date | None:
    match = re.search(r"\b(202[3-9])-(\d\d)-(\d\d)\b", text)
    if match:
        try:
            return date(int(match[1]), int(match[2]), int(match[3]))
        except ValueError:
            return None
    issue = re.search(r"vllm\S* (?:issue|PR|pull) #(\d+)", text)
    if not issue:
        return None
    past = [day for number, day in ISSUE_DAYS if number <= int(issue[1])]
    return past[-1] if past else None


def _dated_version(text: str) -> str | None:
    day = _day(text)
    past = [version for released, version in RELEASED if day is not None and released <= day]
    return past[-1] if past else None


def read_hints(source: str, notes: str) -> Hints:
    """Flags and version named in the source and notes; a version found by date is a guess of last resort."""
    engine: Engine | None = "V0" if re.search(r"\bV0\b", notes) else None
    rank = _number(r"max_lora_rank[ =]+(\d+)", notes) or _number(r"rank (\d+)", notes)
    loras = _number(r"max_loras[ =]+(\d+)", notes)
    version = _named_version(notes) or _dated_version(f"{source} {notes}")
    return Hints(
        version=version or ("0.7.0" if engine else None),
        engine=engine,
        max_loras=loras or (1 if "--enable-lora" in notes else 0),
        max_lora_rank=rank or 16,
        pipeline_parallel=_number(r"\bpp[ =]+(\d+)", notes) or 1,
        block_size=_number(r"--block-size[ =]+(\d+)", notes),
        requested_gib=_decimal(r"requested (?:memory )?(\d+\.\d+) GiB", notes),
        cpu_offload_gib=float(_number(r"--cpu-offload-gb[ =]+(\d+)", notes) or 0),
    )
