"""Divides one card among several engines: fixed shares as given, the rest by what each engine's traffic can use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tandem_inference.planner.estimate import Estimate
from tandem_inference.planner.gpus import Gpu
from tandem_inference.planner.headroom import Profile, cautious_budget, outside_budget
from tandem_inference.planner.kv.capacity import needed_bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """One engine's stake in bytes: what it needs before any cache, and the least and most cache it can use.

    `fixed` is its whole budget where the declaration gives a share or cache bytes.
    """

    before_kv: float
    outside: float
    least_kv: float
    most_kv: float
    fixed: float | None

    @property
    def least(self) -> float:
        return self.fixed if self.fixed is not None else self.before_kv + self.least_kv


def claim(answer: Estimate, profile: Profile) -> Claim:
    """The most cache is that of `max_num_seqs` requests of full length."""
    engine, parts = answer.engine, answer.parts
    least = needed_bytes(parts.layout, engine.rules, length=answer.max_model_len, in_flight=answer.in_flight)
    per_request = answer.capacity.blocks_per_request * parts.layout.bytes_per_block
    before = cautious_budget(parts, profile.caution)
    fixed = None
    if engine.flags.kv_cache_memory_bytes is not None:
        fixed = before + engine.flags.kv_cache_memory_bytes
    elif engine.flags.gpu_memory_utilization is not None:
        fixed = answer.requested
    return Claim(
        before_kv=before,
        outside=outside_budget(engine, parts, profile),
        least_kv=least,
        most_kv=max(least, engine.rows * per_request),
        fixed=fixed,
    )


def usable(gpu: Gpu, claims: Sequence[Claim], profile: Profile, *, in_use: float) -> float:
    """Bytes that all budgets together may have: sum(u) x total <= total - reserve - contexts - overshoots."""
    reserve = profile.idle_share * gpu.total_bytes
    return gpu.total_bytes - in_use - reserve - sum(one.outside for one in claims)


def divide(claims: Sequence[Claim], room: float) -> list[float] | None:
    """A budget for each claim, or None if not even the least ones fit.

    What is left after the least budgets goes to engines in proportion to what more they could use, none
    beyond its most.
    """
    budgets = [one.least for one in claims]
    spare = room - sum(budgets)
    if spare < 0:
        return None
    wishes = [0.0 if one.fixed is not None else one.most_kv - one.least_kv for one in claims]
    total = sum(wishes)
    if total <= 0:
        return budgets
    part = min(1.0, spare / total)
    return [budget + part * wish for budget, wish in zip(budgets, wishes, strict=True)]


def as_share(budget: float, gpu: Gpu) -> float:
    """The share to write down: rounded down to four digits, so that the sum never exceeds the room."""
    return math.floor(budget / gpu.total_bytes * 10000) / 10000
