"""After a start: the plan beside what the engine itself reported, for the log, for status pages and for keeping."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tandem_inference.planner.estimate import Estimate
from tandem_inference.planner.reported.comparison import Pair
from tandem_inference.planner.reported.log_parser import parse_log
from tandem_inference.planner.reported.rows import Reported, write_rows
from tandem_inference.planner.units import GIB


@dataclass(frozen=True, slots=True)
class StartComparison:
    """One engine's start: `pairs` of predicted and reported numbers, those the engine reported."""

    engine: str
    model: str
    vllm_version: str
    pairs: tuple[Pair, ...]
    reported: Reported

    @property
    def kv_error(self) -> float | None:
        """Relative error of the KV cache's GiB; None when the engine reported none."""
        return next((pair.error for pair in self.pairs if pair.name == "kv_cache_gib"), None)

    def as_json(self) -> dict[str, Any]:
        return {
            "engine": self.engine,
            "model": self.model,
            "vllm_version": self.vllm_version,
            "kv_error": None if self.kv_error is None else round(self.kv_error, 5),
            **{pair.name: pair.as_json() for pair in self.pairs},
        }

    def log_fields(self) -> dict[str, Any]:
        """Flat fields for one structured log line, event name `engine.plan_compared`."""
        flat: dict[str, Any] = {"engine": self.engine, "model": self.model, "kv_error": self.kv_error}
        for pair in self.pairs:
            flat[f"predicted_{pair.name}"] = round(pair.predicted, 3)
            flat[f"reported_{pair.name}"] = pair.reported
        return flat


def compare_start(engine: str, plan: Estimate, log: str) -> StartComparison:
    """Compares an engine's plan with its start-up log. Never raises for a log: what it lacks is left out."""
    parsed = parse_log(log, source=f"engine {engine}")
    row = parsed.row
    parts = plan.parts
    found = (
        ("weights_gib", parts.loaded.likely / GIB, row.weights_gib),
        ("activation_gib", parts.transient.likely / GIB, row.activation_gib),
        ("cudagraph_gib", parts.graphs.likely / GIB, row.cudagraph_gib),
        ("kv_cache_gib", plan.kv.likely / GIB, row.kv_cache_gib),
        ("kv_cache_tokens", float(plan.capacity.tokens), row.kv_cache_tokens),
        ("concurrency", plan.capacity.concurrency, parsed.concurrency),
    )
    pairs = tuple(Pair(name, ours, float(theirs)) for name, ours, theirs in found if theirs is not None)
    resolved = plan.engine
    given = resolved.flags.kv_cache_memory_bytes
    settings = replace(
        row,
        # A cache of given size says nothing of the share; a blank keeps the two from being compared.
        gpu_memory_utilization=None if given else resolved.utilization,
        notes="; ".join(
            note for note in (row.notes, f"--kv-cache-memory-bytes {given}" if given else "") if note
        ),
        vllm_version=row.vllm_version or str(resolved.rules.release),
        gpu=row.gpu or resolved.gpu.id,
        gpu_total_gib=row.gpu_total_gib or resolved.gpu.total_gib,
        model=resolved.shape.name,
        dtype=resolved.dtype,
        kv_cache_dtype=resolved.flags.kv_cache_dtype,
        tp=resolved.flags.tensor_parallel,
        max_model_len=plan.max_model_len,
        max_num_seqs=resolved.rows,
        max_num_batched_tokens=resolved.tokens,
        enforce_eager=resolved.flags.enforce_eager,
        quantization=resolved.flags.quantization,
    )
    return StartComparison(engine, resolved.shape.name, str(resolved.rules.release), pairs, settings)


def keep(path: Path, row: Reported) -> None:
    """Appends the row to a CSV with the shared columns, writing the header first. Blocks for one small write.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stamped = replace(row, source=f"{row.source} {datetime.now(UTC):%Y-%m-%d %H:%M}Z")
    header, line = write_rows([stamped]).split("\n", maxsplit=1)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        text = line if os.fstat(file).st_size else f"{header}\n{line}"
        os.write(file, text.encode())
    finally:
        os.close(file)
