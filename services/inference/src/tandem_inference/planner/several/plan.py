"""Plans engines.yaml on one card: a share and cache for each, the start order, or a refusal with what would fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tandem_inference.planner.engine import EngineFlags
from tandem_inference.planner.estimate import Estimate, estimate
from tandem_inference.planner.gates import free_memory_gate
from tandem_inference.planner.gpus import Gpu
from tandem_inference.planner.headroom import PROFILES, Profile
from tandem_inference.planner.several.sharing import Claim, as_share, claim, divide, usable
from tandem_inference.planner.shape.model import ModelShape
from tandem_inference.planner.units import GIB, MIB


@dataclass(frozen=True, slots=True)
class Wanted:
    """One engine to place: its name, its model's shape, its flags, and the hub id or folder of the model as declared.

    `as_listed` engines start in the order in which they come, others small to large.
    """

    name: str
    model: str
    shape: ModelShape
    flags: EngineFlags
    as_listed: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """One engine's place: the share to start it with, its estimate at that share, free memory before it starts."""

    name: str
    position: int
    utilization: float
    kv_bytes: int
    declared_share: bool
    answer: Estimate
    free_before: float
    restartable: bool

    @property
    def starts(self) -> bool:
        return self.answer.starts and self.free_before >= self.answer.requested

    @property
    def reason(self) -> str:
        """Why it would not start, in vLLM's words; empty when it does."""
        failing = next((gate.message for gate in self.answer.gates if not gate.passes), "")
        if failing or self.starts:
            return failing
        return free_memory_gate(
            free=max(0.0, self.free_before),
            requested=self.answer.requested,
            total=self.answer.engine.gpu.total_bytes,
            utilization=self.utilization,
        ).message


@dataclass(frozen=True, slots=True)
class Plan:
    """All engines in start order; with a `refusal` they do not fit, and the shares are only their least needs."""

    gpu: Gpu
    profile: Profile
    placed: tuple[Placed, ...]
    claims: tuple[Claim, ...]
    room: float
    refusal: str = ""

    @property
    def fits(self) -> bool:
        return not self.refusal and all(one.starts for one in self.placed)


Memo = dict[tuple[str, EngineFlags], Estimate]
"""Estimates by engine name and flags, for callers that place many variations of the same engines."""


def could_fit(
    wanted: Sequence[Wanted],
    gpu: Gpu,
    *,
    profile: str = "balanced",
    in_use: int = 0,
    memo: Memo | None = None,
) -> bool:
    """Whether the least needs of all engines fit together; a quick necessary condition of `place(...).fits`."""
    chosen = PROFILES[profile]
    claims = [claim(answer, chosen) for answer in _first_look(wanted, gpu, {} if memo is None else memo)]
    return divide(claims, usable(gpu, claims, chosen, in_use=in_use)) is not None


def _first_look(wanted: Sequence[Wanted], gpu: Gpu, memo: Memo) -> list[Estimate]:
    for one in wanted:
        if (one.name, one.flags) not in memo:
            memo[one.name, one.flags] = estimate(one.shape, gpu, replace(one.flags, memory_in_use_bytes=0))
    return [memo[one.name, one.flags] for one in wanted]


def place(wanted: Sequence[Wanted], gpu: Gpu, *, profile: str = "balanced", in_use: int = 0) -> Plan:
    """Divides the card. Engines with a declared share or cache keep it; the others share the rest.

    Start order: small to large by weights, as the inference service starts them, unless they are to start
    as listed; each engine waits for the former's health, because two that start together measure each
    other's memory.

    Raises:
        InvalidValueError: an engine's flags are wrong or impossible on this card.
    """
    chosen = PROFILES[profile]
    answers = _first_look(wanted, gpu, {})
    claims = tuple(claim(answer, chosen) for answer in answers)
    room = usable(gpu, claims, chosen, in_use=in_use)
    budgets = divide(claims, room)
    refusal = "" if budgets is not None else _too_much(wanted, claims, gpu, chosen, room)
    budgets = budgets or [one.least for one in claims]
    order = sorted(
        range(len(wanted)), key=lambda i: 0 if wanted[i].as_listed else answers[i].parts.loaded.likely
    )
    placed = _in_order([wanted[i] for i in order], [budgets[i] for i in order], gpu, chosen, in_use)
    failing = next((one for one in placed if not one.starts), None)
    if not refusal and failing is not None:
        refusal = _why(failing)
    return Plan(gpu, chosen, placed, claims, room, refusal)


def _too_much(
    wanted: Sequence[Wanted], claims: Sequence[Claim], gpu: Gpu, profile: Profile, room: float
) -> str:
    needed = sum(one.least for one in claims)
    names = ", ".join(
        f"{one.name} {stake.least / GIB:.2f}" for one, stake in zip(wanted, claims, strict=True)
    )
    return (
        f"the engines need at least {needed / GIB:.2f} GiB ({names}), but the {gpu.id} has {max(0.0, room) / GIB:.2f} GiB "
        f"for them in the {profile.name} profile ({gpu.total_gib} GiB less contexts, graphs and reserve)"
    )


def _why(one: Placed) -> str:
    return f"{one.name} would not start: {one.reason}"


def _flags_at(one: Wanted, share: float) -> EngineFlags:
    return replace(one.flags, gpu_memory_utilization=share, memory_in_use_bytes=0)


def _in_order(
    wanted: Sequence[Wanted], budgets: Sequence[float], gpu: Gpu, profile: Profile, in_use: int
) -> tuple[Placed, ...]:
    shares = [
        one.flags.gpu_memory_utilization or max(0.0001, min(1.0, as_share(budget, gpu)))
        for one, budget in zip(wanted, budgets, strict=True)
    ]
    answers = [
        estimate(one.shape, gpu, _flags_at(one, share)) for one, share in zip(wanted, shares, strict=True)
    ]
    resident = [_resident(answer, profile) for answer in answers]
    free = float(gpu.total_bytes - in_use)
    everything = in_use + sum(resident)
    placed = []
    for position, (one, share, answer) in enumerate(zip(wanted, shares, answers, strict=True)):
        free_before = free - answer.context
        others = everything - resident[position]
        placed.append(
            Placed(
                name=one.name,
                position=position + 1,
                utilization=share,
                kv_bytes=max(0, int(answer.kv.likely // MIB * MIB)),
                declared_share=one.flags.gpu_memory_utilization is not None,
                answer=answer,
                free_before=free_before,
                restartable=gpu.total_bytes - others - answer.context >= answer.requested,
            )
        )
        free -= resident[position]
    return tuple(placed)


def _resident(answer: Estimate, profile: Profile) -> float:
    likely, high = answer.resident.likely, answer.resident.high
    floor = likely - answer.parts.transient.likely * 0.5
    return floor + profile.caution * max(0.0, min(high, answer.requested + answer.context) - floor)


def plan_json(plan: Plan, suggestions: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """The plan for programs; terms and flags of each engine are added by the faces."""
    return {
        "gpu": plan.gpu.id,
        "profile": plan.profile.name,
        "unit": "GiB (2^30 bytes)",
        "fits": plan.fits,
        "refusal": plan.refusal or None,
        "total_gib": round(plan.gpu.total_gib, 3),
        "room_gib": round(plan.room / GIB, 3),
        "sum_of_shares": round(sum(one.utilization for one in plan.placed), 4),
        "reserve_gib": round(plan.profile.idle_share * plan.gpu.total_gib, 3),
        "start_order": [one.name for one in plan.placed],
        "suggestions": list(suggestions),
    }
