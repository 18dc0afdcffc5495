"""The two checks a starting engine must pass, with the text vLLM prints when it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tandem_inference.planner.units import GIB


@dataclass(frozen=True, slots=True)
class Gate:
    """`verdict` of one check: `passes`, `fails`, or `uncertain` where the interval straddles the limit."""

    name: Literal["free_memory", "kv_cache"]
    verdict: Literal["passes", "fails", "uncertain"]
    message: str = ""


def _format(size_bytes: float) -> str:
    return f"{round(size_bytes / GIB, 2)}"


def free_memory_gate(*, free: float, requested: float, total: int, utilization: float) -> Gate:
    """Gate A: free >= ceil(total x utilization) when the engine starts.

    It runs with `--kv-cache-memory-bytes` too. Source: vllm/v1/worker/utils.py, request_memory.
    """
    if free >= requested:
        return Gate("free_memory", "passes")
    return Gate(
        "free_memory",
        "fails",
        f"Free memory on device cuda:0 ({_format(free)}/{_format(total)} GiB) on startup is less than desired "
        f"GPU memory utilization ({utilization}, {_format(requested)} GiB). Decrease GPU memory utilization or "
        "reduce GPU memory used by other processes.",
    )


def kv_cache_gate(
    *,
    available: tuple[float, float, float],
    null_block: int,
    needed: int,
    length: int,
    longest: int,
) -> Gate:
    """Gate B: the cache must hold one request of full length beside the reserved null block.

    `available` is (low, likely, high); `needed` excludes the null block. Source: vllm
    v1/core/kv_cache_utils.py, _check_enough_kv_cache_memory.
    """
    low, likely, high = (each - null_block for each in available)
    if likely > 0 and needed <= likely:
        verdict: Literal["passes", "uncertain"] = "passes" if low > 0 and needed <= low else "uncertain"
        return Gate(
            "kv_cache", verdict, "" if verdict == "passes" else _too_small(low, needed, length, longest)
        )
    message = _too_small(likely, needed, length, longest)
    return Gate("kv_cache", "uncertain" if high > 0 and needed <= high else "fails", message)


def _too_small(available: float, needed: int, length: int, longest: int) -> str:
    if available <= 0:
        return (
            "No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when "
            "initializing the engine."
        )
    estimate = (
        f"Based on the available memory, the estimated maximum model length is {longest}. "
        if longest > 0
        else ""
    )
    return (
        f"To serve at least one request with the model's max seq len ({length}), ({_format(needed)} GiB KV cache "
        f"is needed, which is larger than the available KV cache memory ({_format(available)} GiB). {estimate}"
        "Try increasing `gpu_memory_utilization` or decreasing `max_model_len` when initializing the engine."
    )
