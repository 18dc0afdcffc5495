"""What would make engines fit that do not: each remedy is tried by planning, and only those that work are named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from tandem_inference.planner.errors import PlannerError
from tandem_inference.planner.gpus import Gpu, all_gpus
from tandem_inference.planner.headroom import PROFILES
from tandem_inference.planner.several.plan import Memo, Wanted, could_fit, place

MOST = 5


def _changed(wanted: Sequence[Wanted], index: int | None, **changes: Any) -> list[Wanted]:
    return [
        replace(one, flags=replace(one.flags, **changes)) if index in (None, position) else one
        for position, one in enumerate(wanted)
    ]


def _single_changes(wanted: Sequence[Wanted], gpu: Gpu) -> Iterator[tuple[str, list[Wanted]]]:
    if any(one.flags.gpu_memory_utilization or one.flags.kv_cache_memory_bytes for one in wanted):
        freed = _changed(wanted, None, gpu_memory_utilization=None, kv_cache_memory_bytes=None)
        yield "let the planner choose the shares", freed
    for index, one in enumerate(wanted):
        free = {"gpu_memory_utilization": None, "kv_cache_memory_bytes": None}
        length = one.flags.max_model_len or one.shape.max_position
        for shorter in (8192, 4096, 2048):
            if shorter < length:
                yield (
                    f"{one.name}: max_model_len {shorter}",
                    _changed(wanted, index, max_model_len=shorter, **free),
                )
        if one.shape.quantization is None and one.flags.quantization is None:
            if gpu.capability >= 8.9:
                yield f"{one.name}: quantization fp8", _changed(wanted, index, quantization="fp8", **free)
            yield f"{one.name}: a 4-bit (AWQ) copy", _changed(wanted, index, quantization="awq", **free)
        yield f"{one.name}: max_num_seqs 16", _changed(wanted, index, max_num_seqs=16, **free)
    yield "all engines: enforce_eager", _changed(wanted, None, enforce_eager=True)


def _together(wanted: Sequence[Wanted]) -> Iterator[tuple[str, list[Wanted]]]:
    plain = [one.shape.quantization is None and one.flags.quantization is None for one in wanted]
    if not any(plain):
        return
    quantised = [
        replace(one, flags=replace(one.flags, quantization="awq", gpu_memory_utilization=None))
        if is_plain
        else one
        for one, is_plain in zip(wanted, plain, strict=True)
    ]
    yield "4-bit (AWQ) copies of all models", quantised
    shorter = _changed(quantised, None, max_model_len=4096, max_num_seqs=16)
    yield "4-bit (AWQ) copies of all models, max_model_len 4096 and max_num_seqs 16", shorter


def _fits(wanted: Sequence[Wanted], gpu: Gpu, profile: str, in_use: int, memo: Memo | None = None) -> bool:
    try:
        if not could_fit(wanted, gpu, profile=profile, in_use=in_use, memo=memo):
            return False
        return place(wanted, gpu, profile=profile, in_use=in_use).fits
    except PlannerError:
        return False


def remedies(wanted: Sequence[Wanted], gpu: Gpu, *, profile: str, in_use: int = 0) -> list[dict[str, Any]]:
    """Up to five changes with which the engines fit, from the mildest to another card."""
    bolder = [name for name, one in PROFILES.items() if one.caution < PROFILES[profile].caution]
    found: list[dict[str, Any]] = [
        {"change": f"the {name} profile", "profile": name}
        for name in bolder
        if _fits(wanted, gpu, name, in_use)
    ]
    memo: Memo = {}
    for change, trial in (*_single_changes(wanted, gpu), *_together(wanted)):
        if len(found) >= MOST - 1:
            break
        if _fits(trial, gpu, profile, in_use, memo):
            found.append({"change": change})
    found += _slots_instead(wanted)
    for bigger in sorted(all_gpus(), key=lambda one: one.total_gib):
        if bigger.total_gib > gpu.total_gib and _fits(wanted, bigger, profile, in_use):
            found.append({"change": f"a bigger card: {bigger.id}", "gpu": bigger.id})
            break
    return found


def _slots_instead(wanted: Sequence[Wanted]) -> list[dict[str, Any]]:
    """Engines with one base model can be one engine with LoRA slots."""
    seen: dict[tuple[object, ...], list[str]] = {}
    for one in wanted:
        key = (one.shape.family, one.shape.hidden, one.shape.layers, one.shape.vocab, one.flags.quantization)
        seen.setdefault(key, []).append(one.name)
    return [
        {"change": f"{' and '.join(names)} share a base model: one engine with a LoRA adapter each"}
        for names in seen.values()
        if len(names) > 1
    ]
