"""The two checks a starting engine must pass, with the text vLLM prints when it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tandem_inference.planner.units import GIB


@dataclass(frozen=True, slots=True)
class Gate:
    """One check: whether it passes at the likely sizes, and whether that holds over the whole interval.

    `message` is vLLM's own text, for a check that fails or may fail.
    """

    name: Literal["free_memory", "kv_cache"]
    passes: bool
    certain: bool = True
    message: str = ""

    @property
    def verdict(self) -> Literal["passes", "fails", "uncertain"]:
        """For people: `uncertain` where a check passes, but not over the whole interval."""
        if not self.passes:
            return "fails"
        return "passes" if self.certain else "uncertain"


def _format(size_bytes: float) -> str:
    return f"{round(size_bytes / GIB, 2)}"


def free_memory_gate(*, free: float, requested: float, total: int, utilization: float) -> Gate:
    """Gate A: free >= ceil(total x utilization) when the engine starts.

    It runs with `--kv-cache-memory-bytes` too. Source: vllm/v1/worker/utils.py, request_memory.
    """
    if free >= requested:
        return Gate("free_memory", passes=True)
    return Gate(
        "free_memory",
        passes=False,
        message=f"Free memory on device cuda:0 ({_format(free)}/{_format(total)} GiB) on startup is less than desired "
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
    verdicts = [each - null_block > 0 and needed <= each - null_block for each in available]
    passes, certain = verdicts[1], len(set(verdicts)) == 1
    if passes and certain:
        return Gate("kv_cache", passes=True)
    short = available[0] if passes else available[1]
    message = _too_small(short - null_block, needed, length, longest)
    return Gate("kv_cache", passes=passes, certain=certain, message=message)


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
