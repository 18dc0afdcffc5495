"""Adds up one engine's memory terms, without asking whether they fit anywhere."""

from __future__ import annotations

from dataclasses import dataclass

from tandem_inference.planner.activation import transient
from tandem_inference.planner.cuda_graphs import graph_memory
from tandem_inference.planner.engine import ResolvedEngine
from tandem_inference.planner.gpus import is_hopper
from tandem_inference.planner.kv.groups import KvLayout, kv_layout
from tandem_inference.planner.lora import slot_bytes
from tandem_inference.planner.releases import Release
from tandem_inference.planner.residue import counter_bytes, non_torch
from tandem_inference.planner.units import GIB, NOTHING, Interval
from tandem_inference.planner.weights import weight_bytes

WEIGHT_ERROR = 0.005
ASSUMED_WEIGHT_ERROR = 0.1


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of one rank. `loaded` (weights and slots) is what the log calls model loading."""

    weights: Interval
    lora: Interval
    offloaded: float
    counters: Interval
    non_torch: Interval
    transient: Interval
    graphs: Interval
    graphs_in_budget: bool
    layout: KvLayout

    @property
    def loaded(self) -> Interval:
        return self.weights + self.lora

    @property
    def consumed(self) -> Interval:
        """What stays allocated after profiling, before the KV cache."""
        return self.weights + self.lora + self.counters + self.non_torch

    @property
    def budgeted(self) -> Interval:
        """All that is taken from the requested memory before the KV cache gets the rest."""
        total = self.consumed + self.transient
        return total + self.graphs if self.graphs_in_budget else total

    @property
    def running(self) -> Interval:
        """All but context and KV cache that the card shows once the engine serves."""
        return self.consumed + self.graphs + Interval(0.0, 0.5 * self.transient.likely, self.transient.high)


def stage_layers(layers: int, stages: int) -> int:
    return max(1, layers // stages)


def footprint(engine: ResolvedEngine, *, last_stage: bool | None = None) -> Footprint:
    """The terms of one rank; with pipeline parallelism of the first stage, or of the last if asked."""
    shape, flags, rules = engine.shape, engine.flags, engine.rules
    single = flags.pipeline_parallel == 1
    last = single if last_stage is None else last_stage
    layers = None if single else stage_layers(shape.layers, flags.pipeline_parallel)
    ways = flags.tensor_parallel
    loaded = float(
        weight_bytes(
            shape,
            engine.scheme,
            engine.dtype,
            tensor_parallel=ways,
            unsplit=rules.unsplit_weights,
            spare_tables=rules.spare_tables,
            pads_output=not (is_hopper(engine.gpu) and rules.release >= Release(12)),
            layers=layers,
            first=single or not last,
            last=last,
        )
    )
    offloaded = min(flags.cpu_offload_gib * GIB, 0.98 * loaded) if rules.offloads_weights else 0.0
    error = ASSUMED_WEIGHT_ERROR if shape.assumptions else WEIGHT_ERROR
    lora = NOTHING
    if flags.max_loras:
        slots = flags.max_loras * slot_bytes(
            shape, engine.dtype, rank=flags.max_lora_rank, tensor_parallel=ways
        )
        lora = Interval(0.95 * slots, 1.02 * slots, 1.08 * slots)
    batch = {"rows": engine.rows, "tokens": engine.tokens}
    return Footprint(
        weights=Interval.around(loaded - offloaded, below=error, above=error),
        lora=lora,
        offloaded=offloaded,
        counters=Interval.exact(counter_bytes(shape, rules, rows=engine.rows)),
        non_torch=non_torch(rules, engine.gpu, ranks=ways, stages=flags.pipeline_parallel),
        transient=transient(
            shape,
            rules,
            engine.gpu,
            engine.scheme,
            engine.dtype,
            tokens=engine.tokens,
            rows=engine.rows,
            tensor_parallel=ways,
            samples=last,
            cold=flags.cold_start,
        ),
        graphs=graph_memory(
            shape, rules, engine.gpu, **batch, lora=flags.max_loras > 0, eager=flags.enforce_eager
        ),
        graphs_in_budget=rules.graphs_in_budget,
        layout=kv_layout(
            shape,
            engine.kv_dtype,
            dtype=engine.dtype,
            tensor_parallel=ways,
            block_tokens=engine.block_tokens,
            layers=layers,
            checkpoints=rules.state_checkpoints,
        ),
    )
