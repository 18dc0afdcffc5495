"""The planner's main question: what one engine takes on one card, whether it starts, and what its cache holds."""

from __future__ import annotations

from dataclasses import dataclass

from tandem_inference.planner.engine import EngineFlags, ResolvedEngine, resolve
from tandem_inference.planner.footprint import Footprint, footprint
from tandem_inference.planner.gates import CacheNeed, Gate, free_memory_gate, kv_cache_gate
from tandem_inference.planner.gpus import Gpu
from tandem_inference.planner.kv.capacity import Capacity, capacity, longest_context, needed_bytes
from tandem_inference.planner.kv.groups import in_flight_tokens
from tandem_inference.planner.residue import context_bytes
from tandem_inference.planner.shape.model import ModelShape
from tandem_inference.planner.units import Interval


@dataclass(frozen=True, slots=True)
class Estimate:
    """One engine on one card. Sizes are bytes of one rank; `kv` may be negative, as vLLM's own figure can."""

    engine: ResolvedEngine
    parts: Footprint
    requested: float
    free_at_start: float
    kv: Interval
    max_model_len: int
    in_flight: int
    needed: int
    capacity: Capacity
    gates: tuple[Gate, ...]

    @property
    def starts(self) -> bool:
        return all(gate.passes for gate in self.gates)

    @property
    def certain(self) -> bool:
        """Whether the verdict holds over the whole interval."""
        return all(gate.certain for gate in self.gates)

    @property
    def context(self) -> int:
        """Bytes the process takes outside its budget, before it measures free memory."""
        return process_context(self.engine)

    @property
    def resident(self) -> Interval:
        """What the card shows for this engine's process while it serves."""
        context = Interval.exact(self.context)
        kv = Interval.exact(max(0.0, self.kv.likely))
        return context + self.parts.running + kv


def process_context(engine: ResolvedEngine) -> int:
    ranks = engine.flags.tensor_parallel * engine.flags.pipeline_parallel
    return context_bytes(engine.gpu, ranks=ranks)


def kv_budget(engine: ResolvedEngine, parts: Footprint) -> Interval:
    """The KV cache: requested - consumed - transient - graph estimate, or exactly `--kv-cache-memory-bytes`.

    Source: vllm/v1/worker/gpu_worker.py, determine_available_memory.
    """
    given = engine.flags.kv_cache_memory_bytes
    if given is not None:
        return Interval.exact(float(given))
    requested = requested_bytes(engine)
    taken = parts.budgeted
    return Interval(requested - taken.high, requested - taken.likely, requested - taken.low)


def requested_bytes(engine: ResolvedEngine) -> float:
    """ceil(total x gpu_memory_utilization): a share of the whole card, whatever others use."""
    return float(-int(-engine.gpu.total_bytes * engine.utilization // 1))


def _smallest_stage(engine: ResolvedEngine, parts: Footprint) -> tuple[Footprint, Interval]:
    """With pipeline parallelism the stage with the fewest blocks decides for all."""
    budget = kv_budget(engine, parts)
    if engine.flags.pipeline_parallel == 1:
        return parts, budget
    last = footprint(engine, last_stage=True)
    other = kv_budget(engine, last)
    return (last, other) if other.likely < budget.likely else (parts, budget)


def estimate(shape: ModelShape, gpu: Gpu, flags: EngineFlags) -> Estimate:
    """Plans one engine on one card; pure arithmetic, well under a millisecond.

    Raises:
        InvalidValueError: a flag is out of range or not possible on this card or with this checkpoint.
    """
    return estimate_resolved(resolve(shape, gpu, flags))


def estimate_resolved(engine: ResolvedEngine) -> Estimate:
    rules, flags = engine.rules, engine.flags
    parts = footprint(engine)
    kv = kv_budget(engine, parts)
    narrow, narrow_kv = _smallest_stage(engine, parts)
    layout = narrow.layout
    in_flight = in_flight_tokens(rules, engine.tokens)
    spare = layout.bytes_per_block if rules.null_block else 0
    longest = longest_context(
        layout, rules, narrow_kv.likely, limit=engine.max_model_len, in_flight=in_flight
    )
    length = max(1, longest) if engine.fits_length else engine.max_model_len
    needed = needed_bytes(layout, rules, length=length, in_flight=in_flight) - spare
    free = max(0.0, float(engine.gpu.total_bytes - process_context(engine) - flags.memory_in_use_bytes))
    requested = requested_bytes(engine)
    held = capacity(layout, rules, narrow_kv.likely, length=length, in_flight=in_flight)
    need = CacheNeed(length, needed, spare, longest, held.tokens)
    gates = (
        free_memory_gate(
            free=free, requested=requested, total=engine.gpu.total_bytes, utilization=engine.utilization
        ),
        kv_cache_gate(narrow_kv, need, rules),
    )
    return Estimate(
        engine=engine,
        parts=parts,
        requested=requested,
        free_at_start=free,
        kv=kv,
        max_model_len=length,
        in_flight=in_flight,
        needed=needed,
        capacity=held,
        gates=gates,
    )
