"""Predicted beside reported: errors per row and their summary, for the command line, the benchmark and run time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tandem_inference.planner.estimate import Estimate
from tandem_inference.planner.reported.prediction import Prediction, predict
from tandem_inference.planner.reported.rows import Reported
from tandem_inference.planner.units import GIB

NO_SHARE = "gpu_memory_utilization not given: the KV cache cannot be compared"


@dataclass(frozen=True, slots=True)
class Pair:
    """One quantity: predicted and reported GiB (or tokens); `error` is relative to the reported value."""

    name: str
    predicted: float
    reported: float

    @property
    def error(self) -> float | None:
        return abs(self.predicted - self.reported) / abs(self.reported) if self.reported else None

    def as_json(self) -> dict[str, Any]:
        error = self.error
        return {
            "predicted": round(self.predicted, 4),
            "reported": self.reported,
            "error": None if error is None else round(error, 5),
        }


@dataclass(frozen=True, slots=True)
class Compared:
    """One row's pairs; `started` is (predicted, reported), the latter None where the row does not say."""

    prediction: Prediction
    answer: Estimate
    pairs: tuple[Pair, ...]

    def pair(self, name: str) -> Pair | None:
        return next((pair for pair in self.pairs if pair.name == name), None)

    @property
    def start_right(self) -> bool | None:
        reported = self.prediction.row.started
        return None if reported is None else self.answer.starts == reported

    def as_json(self) -> dict[str, Any]:
        row, answer = self.prediction.row, self.answer
        return {
            "source": row.source,
            "model": row.model,
            "gpu": answer.engine.gpu.id,
            "vllm_version": str(answer.engine.rules.release),
            "engine": answer.engine.rules.engine,
            "family": answer.engine.shape.family,
            "starts": answer.starts,
            "started": row.started,
            "remarks": list(self.prediction.remarks),
            **{pair.name: pair.as_json() for pair in self.pairs},
        }


def compare_row(row: Reported) -> Compared | Prediction:
    """The pairs of a row, or the prediction with its reason when it cannot be answered."""
    prediction = predict(row)
    answer = prediction.estimate
    if answer is None:
        return prediction
    parts = answer.parts
    shared = row.gpu_memory_utilization is not None or row.kv_cache_gib is None
    if not shared:
        prediction = replace(prediction, remarks=(*prediction.remarks, NO_SHARE))
        if row.weights_gib is None:
            return replace(prediction, estimate=None, skipped=NO_SHARE)
    found = (
        ("weights_gib", parts.loaded.likely / GIB, row.weights_gib),
        ("activation_gib", parts.transient.likely / GIB, row.activation_gib),
        ("non_torch_gib", (parts.non_torch + parts.counters).likely / GIB, row.non_torch_gib),
        ("cudagraph_gib", parts.graphs.likely / GIB, row.cudagraph_gib),
        ("kv_cache_gib", answer.kv.likely / GIB, row.kv_cache_gib if shared else None),
        ("kv_cache_tokens", float(answer.capacity.tokens), row.kv_cache_tokens if shared else None),
    )
    pairs = tuple(Pair(name, ours, float(theirs)) for name, ours, theirs in found if theirs is not None)
    return Compared(prediction, answer, pairs)


def median(values: Sequence[float]) -> float | None:
    return percentile(values, 0.5)


def percentile(values: Sequence[float], share: float) -> float | None:
    """Linear interpolation between the closest ranks; None for no values."""
    if not values:
        return None
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def errors(compared: Iterable[Compared], name: str) -> list[float]:
    """Relative errors of one quantity; of KV only where there is a cache (a negative figure is a failed start)."""
    found = []
    for one in compared:
        pair = one.pair(name)
        if pair is None or pair.error is None or (name == "kv_cache_gib" and pair.reported <= 0):
            continue
        found.append(pair.error)
    return found


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rows that could be answered, and those that could not with their reasons."""

    compared: tuple[Compared, ...]
    skipped: tuple[Prediction, ...]

    def summary(self) -> dict[str, Any]:
        """The figures programs read; errors are fractions, `start_right` counts right of known verdicts."""
        kv, weights = errors(self.compared, "kv_cache_gib"), errors(self.compared, "weights_gib")
        verdicts = [one.start_right for one in self.compared if one.start_right is not None]
        return {
            "rows": len(self.compared),
            "kv_gib_error_median": _rounded(median(kv)),
            "kv_gib_error_p95": _rounded(percentile(kv, 0.95)),
            "weights_error_median": _rounded(median(weights)),
            "start_right": _rounded(sum(verdicts) / len(verdicts)) if verdicts else None,
            "start_known": len(verdicts),
            "skipped": [
                {"model": one.row.model, "source": one.row.source, "reason": one.skipped}
                for one in self.skipped
            ],
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)


def compare(rows: Iterable[Reported]) -> Comparison:
    results = [compare_row(row) for row in rows]
    return Comparison(
        tuple(one for one in results if isinstance(one, Compared)),
        tuple(one for one in results if isinstance(one, Prediction)),
    )
