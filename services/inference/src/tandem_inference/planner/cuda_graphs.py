"""CUDA graph memory, the least predictable term: which graphs are captured, and an interval for their bytes."""

from __future__ import annotations

from dataclasses import dataclass

from tandem_inference.planner.gpus import Gpu, is_hopper
from tandem_inference.planner.releases import Rules
from tandem_inference.planner.shape.model import ModelShape
from tandem_inference.planner.units import GIB, Interval

REFERENCE_GRAPHS = 102
"""Graphs an H100 captured by default when the two constants below were fitted (51 piecewise, 51 full)."""
FIXED_GIB = 0.47
PER_LAYER_GIB = 0.013
OFF_HOPPER = 0.85
"""Share of the Hopper figure on other cards: cuBLAS workspaces are 8 MiB there, not 32."""


@dataclass(frozen=True, slots=True)
class Captures:
    """How many graphs of each kind are captured."""

    piecewise: int
    full: int

    @property
    def total(self) -> int:
        return self.piecewise + self.full


def capture_sizes(rows: int, tokens: int) -> tuple[int, ...]:
    """Batch sizes captured by default: 1, 2, 4, then by 8 to 255, then by 16 to min(2 x rows, 512, tokens).

    Source: vllm/config/vllm.py, _set_cudagraph_sizes.
    """
    largest = min(2 * rows, 512, tokens)
    sizes = {size for size in (1, 2, 4) if size <= largest}
    sizes.update(range(8, min(largest + 1, 256), 8))
    sizes.update(range(256, largest + 1, 16))
    if rows <= largest:
        sizes.add(rows)
    return tuple(sorted(sizes))


def captures(rules: Rules, *, rows: int, tokens: int, lora: bool) -> Captures:
    """V0 captured decode batches only; V1 piecewise graphs of all sizes and full ones up to the row limit."""
    sizes = capture_sizes(rows, tokens)
    full = sum(1 for size in sizes if size <= rows)
    if rules.engine == "V0":
        return Captures(0, min(full, 35))
    factor = 2 if lora else 1
    return Captures(len(sizes) * factor, full * factor)


def graph_memory(
    shape: ModelShape, rules: Rules, gpu: Gpu, *, rows: int, tokens: int, lora: bool, eager: bool
) -> Interval:
    """Bytes the graphs take after capture: (0.47 + 0.013 x layers) GiB for 102 graphs, in proportion.

    Fitted on 24 dense runs (H100, 0.19: mean error 0.08, worst 0.24 GiB); the interval covers the
    0.24 to 1.28 GiB seen on 24 GB cards.
    """
    if eager:
        return Interval.exact(0.0)
    count = captures(rules, rows=rows, tokens=tokens, lora=lora).total
    card = 1.0 if is_hopper(gpu) else OFF_HOPPER
    likely = (FIXED_GIB + PER_LAYER_GIB * shape.layers) * card * count / REFERENCE_GRAPHS
    if rules.engine == "V0":
        likely = max(likely, 0.15)
    return Interval.around(likely * GIB, below=0.55, above=0.7)
