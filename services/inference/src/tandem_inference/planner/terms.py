"""One line of an answer: a term's bytes as an interval, its formula in words and where that comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tandem_inference.planner.units import GIB, Interval


@dataclass(frozen=True, slots=True)
class Term:
    """`name` is stable for programs; `in_budget` says whether the KV cache pays for it."""

    name: str
    size: Interval
    formula: str
    source: str
    in_budget: bool = True

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "gib": round(self.size.likely / GIB, 4),
            "low_gib": round(self.size.low / GIB, 4),
            "high_gib": round(self.size.high / GIB, 4),
            "formula": self.formula,
            "source": self.source,
            "in_budget": self.in_budget,
        }
