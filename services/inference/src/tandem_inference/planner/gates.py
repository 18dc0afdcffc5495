"""The two checks a starting engine must pass, with the text vLLM prints when it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tandem_inference.planner.releases import Release, Rules
from tandem_inference.planner.units import GIB, Interval

LINK = "See https://docs.vllm.ai/en/latest/configuration/conserving_memory/ for more details."
ASIDE = "this flag also controls CPU memory reservation on the CPU backend, despite its name"


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


@dataclass(frozen=True, slots=True)
class CacheNeed:
    """What the second check compares: bytes for one request of `length` and how long a request could be.

    `null_block` is held back from the available memory; `needed` excludes it; `tokens` is what the cache holds.
    """

    length: int
    needed: int
    null_block: int
    longest: int
    tokens: int


def kv_cache_gate(available: Interval, need: CacheNeed, rules: Rules) -> Gate:
    """Gate B: the cache must hold one request of full length beside the reserved null block.

    Source: vllm v1/core/kv_cache_utils.py, _check_enough_kv_cache_memory.
    """
    ends = [each - need.null_block for each in (available.low, available.likely, available.high)]
    verdicts = [each > 0 and need.needed <= each for each in ends]
    passes, certain = verdicts[1], len(set(verdicts)) == 1
    if passes and certain:
        return Gate("kv_cache", passes=True)
    message = _too_small(ends[0] if passes else ends[1], need, rules)
    return Gate("kv_cache", passes=passes, certain=certain, message=message)


def _too_small(available: float, need: CacheNeed, rules: Rules) -> str:
    """The text of that release: V0's own, and since 0.32 with a word on the CPU backend and a link."""
    recent = rules.release >= Release(32)
    link = f" {LINK}" if recent else ""
    if available <= 0:
        aside = f" ({ASIDE})" if recent else ""
        return (
            "No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing "
            f"the engine{aside}.{link}"
        )
    if rules.engine == "V0":
        return (
            f"The model's max seq len ({need.length}) is larger than the maximum number of tokens that can be stored "
            f"in KV cache ({need.tokens}). Try increasing `gpu_memory_utilization` or decreasing `max_model_len` when "
            "initializing the engine."
        )
    estimate = ""
    if need.longest > 0:
        estimate = f"Based on the available memory, the estimated maximum model length is {need.longest}. "
    aside = " (which also controls CPU memory on the CPU backend)" if recent else ""
    return (
        f"To serve at least one request with the model's max seq len ({need.length}), ({_format(need.needed)} GiB KV "
        f"cache is needed, which is larger than the available KV cache memory ({_format(available)} GiB). {estimate}"
        f"Try increasing `gpu_memory_utilization`{aside} or decreasing `max_model_len` when initializing the engine.{link}"
    )
