"""One call for all faces: engines as declared and a card in, the whole plan with flags to copy out, as JSON."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Any

from tandem_inference.planner.answer import as_json
from tandem_inference.planner.errors import InvalidValueError
from tandem_inference.planner.gpus import Gpu
from tandem_inference.planner.headroom import PROFILES
from tandem_inference.planner.releases import DEFAULT_VERSION
from tandem_inference.planner.several.declaration import EngineView
from tandem_inference.planner.several.plan import Placed, Plan, Wanted, place, plan_json
from tandem_inference.planner.several.remedies import remedies
from tandem_inference.planner.shape.model import ModelShape


def wanted_engines(
    views: Sequence[EngineView], load: Callable[[str], ModelShape], *, vllm_version: str = DEFAULT_VERSION
) -> list[Wanted]:
    """The declared engines with their models' shapes, which `load` finds by name or path."""
    return [
        Wanted(view.name, view.model, load(view.model), view.flags(vllm_version=vllm_version), view.as_listed)
        for view in views
    ]


def command_flags(one: Placed) -> list[str]:
    """The `vllm serve` flags that make the plan come true."""
    flags = one.answer.engine.flags
    words = ["--gpu-memory-utilization", f"{one.utilization:g}"]
    if flags.kv_cache_memory_bytes is not None:
        words += ["--kv-cache-memory-bytes", str(flags.kv_cache_memory_bytes)]
    words += ["--max-model-len", str(one.answer.max_model_len), "--max-num-seqs", str(one.answer.engine.rows)]
    words += ["--max-num-batched-tokens", str(one.answer.engine.tokens)]
    if flags.kv_cache_dtype != "auto":
        words += ["--kv-cache-dtype", flags.kv_cache_dtype]
    if flags.quantization:
        words += ["--quantization", flags.quantization]
    if flags.tensor_parallel > 1:
        words += ["--tensor-parallel-size", str(flags.tensor_parallel)]
    if flags.max_loras:
        words += [
            "--enable-lora",
            "--max-loras",
            str(flags.max_loras),
            "--max-lora-rank",
            str(flags.max_lora_rank),
        ]
    if flags.enforce_eager:
        words.append("--enforce-eager")
    return words


def placed_json(one: Placed, model: str) -> dict[str, Any]:
    words = command_flags(one)
    return {
        "name": one.name,
        "start_position": one.position,
        "gpu_memory_utilization": one.utilization,
        "kv_cache_memory_bytes": one.kv_bytes,
        "share_declared": one.declared_share,
        "starts": one.starts,
        "reason": one.reason or None,
        "restartable_beside_the_others": one.restartable,
        "free_before_gib": round(one.free_before / 2**30, 3),
        "flags": words,
        "command": shlex.join(["vllm", "serve", model, *words]),
        "estimate": as_json(one.answer, advise=False),
    }


def plan_engines(
    wanted: Sequence[Wanted], gpu: Gpu, *, profile: str = "balanced", in_use: int = 0, advise: bool = True
) -> tuple[Plan, dict[str, Any]]:
    """The plan and its JSON; remedies are sought only when it does not fit.

    Raises:
        InvalidValueError: an unknown profile, or flags that are wrong or impossible on this card.
    """
    if profile not in PROFILES:
        raise InvalidValueError(
            f"profile must be one of {', '.join(PROFILES)}; got {profile!r:.40}", field="profile"
        )
    plan = place(wanted, gpu, profile=profile, in_use=in_use)
    found = remedies(wanted, gpu, profile=profile, in_use=in_use) if advise and not plan.fits else []
    models = {one.name: one.model for one in wanted}
    placed = [placed_json(one, models[one.name]) for one in plan.placed]
    return plan, {**plan_json(plan, found), "engines": placed}
