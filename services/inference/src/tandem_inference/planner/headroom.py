"""What must stay free beside an engine's budget: its CUDA context, graphs over their estimate, the sampler's real needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from tandem_inference.planner.engine import ResolvedEngine
from tandem_inference.planner.footprint import Footprint
from tandem_inference.planner.releases import Release
from tandem_inference.planner.residue import context_bytes

ProfileName = Literal["conservative", "balanced", "aggressive"]

SAMPLING_BYTES = 10.0
"""Bytes per row and vocabulary entry that real sampling needs; a V2 profile up to 0.32 sees only the logits."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How much of the card is left alone, and where between likely and high each uncertain term is taken."""

    name: ProfileName
    idle_share: float
    caution: float


PROFILES: Final[dict[str, Profile]] = {
    one.name: one
    for one in (
        Profile("conservative", 0.08, 1.0),
        Profile("balanced", 0.03, 0.5),
        Profile("aggressive", 0.01, 0.1),
    )
}


def graph_overshoot(parts: Footprint, caution: float) -> float:
    """Graph bytes that come on top of the budget: all of them where they are not estimated, else the excess."""
    excess = caution * (parts.graphs.high - parts.graphs.likely)
    return excess if parts.graphs_in_budget else parts.graphs.likely + excess


def sampler_slack(engine: ResolvedEngine) -> float:
    """Memory a busy V2 engine's sampler takes beyond its profiled peak (seen as an out-of-memory of rows x V x 4)."""
    rules = engine.rules
    if rules.engine != "V2" or rules.release >= Release(33):
        return 0.0
    return max(0.0, (SAMPLING_BYTES - 2.0) * engine.rows * engine.shape.vocab)


def outside_budget(engine: ResolvedEngine, parts: Footprint, profile: Profile) -> float:
    """Bytes one engine takes beside total x gpu_memory_utilization.

    The sampler's slack is cached PyTorch memory that the profiled transient's own pages can serve, so only
    what exceeds them counts, and in the aggressive profile none of it.
    """
    beyond = max(0.0, sampler_slack(engine) - parts.transient.likely)
    slack = beyond * profile.caution
    ranks = engine.flags.tensor_parallel * engine.flags.pipeline_parallel
    return context_bytes(engine.gpu, ranks=ranks) + graph_overshoot(parts, profile.caution) + slack


def cautious_budget(parts: Footprint, caution: float) -> float:
    """The budgeted terms, moved from likely towards high."""
    likely, high = parts.budgeted.likely, parts.budgeted.high
    return likely + caution * (high - likely)
