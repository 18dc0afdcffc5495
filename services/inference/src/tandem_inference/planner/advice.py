"""Answers "which share?" and "what would make it fit?" for one engine, each suggestion checked by planning it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from tandem_inference.planner.engine import EngineFlags, resolve
from tandem_inference.planner.errors import PlannerError
from tandem_inference.planner.estimate import Estimate, estimate, estimate_resolved
from tandem_inference.planner.gpus import Gpu, all_gpus
from tandem_inference.planner.headroom import PROFILES, cautious_budget, outside_budget
from tandem_inference.planner.kv.capacity import needed_bytes
from tandem_inference.planner.shape.model import ModelShape
from tandem_inference.planner.units import GIB, MIB, round_up


@dataclass(frozen=True, slots=True)
class Shares:
    """Values of `--gpu-memory-utilization` and `--kv-cache-memory-bytes`; None where no value starts."""

    least_utilization: float | None
    recommended_utilization: float | None
    least_kv_bytes: int
    recommended_kv_bytes: int | None


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One change that makes the engine start, and what it then holds."""

    change: str
    flags: dict[str, Any]
    kv_tokens: int
    concurrency: float

    def as_json(self) -> dict[str, Any]:
        return {
            "change": self.change,
            "flags": self.flags,
            "kv_tokens": self.kv_tokens,
            "concurrency": round(self.concurrency, 2),
        }


def _rounded_up(share: float) -> float:
    return math.ceil(share * 1000 - 1e-9) / 1000


def least_utilization(answer: Estimate) -> float:
    """(consumed + transient + graph estimate + one request of full length + null block) / total.

    May exceed 1: then no share starts.
    """
    engine = answer.engine
    needed = needed_bytes(
        answer.parts.layout, engine.rules, length=answer.max_model_len, in_flight=answer.in_flight
    )
    return (answer.parts.budgeted.likely + needed) / engine.gpu.total_bytes


def shares(answer: Estimate) -> Shares:
    """The least share that starts, and the most the card can safely give beside what is already in use.

    The recommended share leaves the engine's context, its graphs' excess and a balanced reserve outside.
    """
    engine = answer.engine
    total = engine.gpu.total_bytes
    profile = PROFILES["balanced"]
    outside = outside_budget(engine, answer.parts, profile)
    room = total - engine.flags.memory_in_use_bytes - outside - 0.5 * profile.idle_share * total
    room = min(room, answer.free_at_start)
    least = _rounded_up(least_utilization(answer))
    most = math.floor(max(0.0, room) / total * 100) / 100
    cap = math.floor(answer.free_at_start / total * 1000) / 1000
    needed = needed_bytes(
        answer.parts.layout, engine.rules, length=answer.max_model_len, in_flight=answer.in_flight
    )
    if least > cap or least <= 0:
        return Shares(None, None, needed, None)
    recommended = max(most, least)
    kv = recommended * total - cautious_budget(answer.parts, profile.caution)
    return Shares(least, recommended, needed, max(needed, int(kv // MIB * MIB)))


Trial = tuple[str, dict[str, Any], EngineFlags]


def _trial(flags: EngineFlags, change: str, **changes: Any) -> Trial:
    return change, changes, replace(flags, **changes)


def _size_trials(answer: Estimate) -> Iterator[Trial]:
    """Changes of the share or the cache's bytes alone."""
    engine, flags = answer.engine, answer.engine.flags
    found = shares(answer)
    least = found.least_utilization
    if least is not None and least > engine.utilization and flags.kv_cache_memory_bytes is None:
        yield _trial(flags, f"raise the share to {least}", gpu_memory_utilization=least)
    cap = math.floor(answer.free_at_start / engine.gpu.total_bytes * 1000) / 1000
    if engine.utilization > cap > 0:
        change = f"lower the share to {cap}: no more of the {engine.gpu.id} is free"
        yield _trial(flags, change, gpu_memory_utilization=cap)
    if flags.kv_cache_memory_bytes is not None and flags.kv_cache_memory_bytes < answer.needed:
        wanted = round_up(found.least_kv_bytes, MIB)
        yield _trial(flags, f"raise the KV cache to {wanted / GIB:.2f} GiB", kv_cache_memory_bytes=wanted)


def _gentle_trials(answer: Estimate) -> Iterator[Trial]:
    """Shorter contexts, smaller cache entries, fewer requests at once."""
    engine, flags = answer.engine, answer.engine.flags
    longest = answer.capacity.tokens if answer.kv.likely > 0 else 0
    for length in (longest // 256 * 256, 8192, 4096, 2048):
        if 256 <= length < answer.max_model_len:
            yield _trial(flags, f"shorten the context to {length}", max_model_len=length)
    if engine.kv_dtype in ("float16", "bfloat16") and engine.gpu.capability >= 8.9:
        yield _trial(flags, "store the KV cache in fp8", kv_cache_dtype="fp8")
    if engine.rows > 16:
        yield _trial(flags, "serve 16 requests at once", max_num_seqs=16)


def _strong_trials(answer: Estimate) -> Iterator[Trial]:
    """Smaller weights, no graphs, more cards."""
    engine, flags = answer.engine, answer.engine.flags
    if engine.scheme.name == "none":
        if engine.gpu.capability >= 8.9:
            yield _trial(flags, "load the weights in fp8", quantization="fp8")
        yield _trial(flags, "use a 4-bit (AWQ) copy of the model", quantization="awq")
    if engine.rules.graphs_in_budget and not flags.enforce_eager:
        yield _trial(flags, "do without CUDA graphs", enforce_eager=True)
    for ways in (2, 4, 8):
        if ways > flags.tensor_parallel:
            yield _trial(flags, f"split over {ways} cards", tensor_parallel=ways)


def _with_share(flags: EngineFlags, answer: Estimate) -> EngineFlags:
    found = shares(answer).recommended_utilization
    raise_share = found is not None and found > answer.engine.utilization
    return replace(flags, gpu_memory_utilization=found) if raise_share else flags


def suggestions(answer: Estimate, *, most: int = 5) -> tuple[Suggestion, ...]:
    """Single changes that make a failing engine start, most gentle first; with a bigger card last."""
    found: list[Suggestion] = []
    shape = answer.engine.shape
    for change, named, flags in chain(_size_trials(answer), _gentle_trials(answer), _strong_trials(answer)):
        trial = _try(shape, answer.engine.gpu, flags)
        if trial is None or trial.starts:
            _keep(found, change, named, trial)
            continue
        raised = _with_share(flags, trial)
        second = _try(shape, answer.engine.gpu, raised) if raised is not flags else None
        share = raised.gpu_memory_utilization
        _keep(
            found,
            f"{change} and raise the share to {share}",
            {**named, "gpu_memory_utilization": share},
            second,
        )
        if len(found) >= most:
            return tuple(found[:most])
    cache_fails = not answer.gates[1].passes
    bigger = smallest_card(shape, answer.engine.flags, above=answer.engine.gpu) if cache_fails else None
    if bigger is not None:
        _keep(found, f"use a bigger card: {bigger.engine.gpu.id}", {"gpu": bigger.engine.gpu.id}, bigger)
    return tuple(found[:most])


def _keep(found: list[Suggestion], change: str, named: dict[str, Any], trial: Estimate | None) -> None:
    if trial is not None and trial.starts:
        found.append(Suggestion(change, named, trial.capacity.tokens, trial.capacity.concurrency))


def _try(shape: ModelShape, gpu: Gpu, flags: EngineFlags) -> Estimate | None:
    try:
        return estimate(shape, gpu, flags)
    except PlannerError:
        return None


def smallest_card(shape: ModelShape, flags: EngineFlags, *, above: Gpu) -> Estimate | None:
    """The same engine on the smallest larger card of the table on which it starts."""
    for gpu in sorted(all_gpus(), key=lambda one: one.total_gib):
        if gpu.total_gib < 1.05 * above.total_gib:
            continue
        trial = _try(shape, gpu, replace(flags, gpu_memory_utilization=None))
        if trial is not None and trial.starts:
            return trial
    return None


def at_share(answer: Estimate, share: float) -> Estimate:
    """The same engine with another `--gpu-memory-utilization`."""
    engine = answer.engine
    flags = replace(engine.flags, gpu_memory_utilization=share, kv_cache_memory_bytes=None)
    return estimate_resolved(resolve(engine.shape, engine.gpu, flags))
