"""What a KV budget holds: blocks, tokens as the log counts them, concurrency, and the longest context that fits."""

from __future__ import annotations

from dataclasses import dataclass

from tandem_inference.planner.kv.groups import KvLayout
from tandem_inference.planner.releases import Rules


@dataclass(frozen=True, slots=True)
class Capacity:
    """`tokens` is the "GPU KV cache size" of the log; `concurrency` the "Maximum concurrency" of it."""

    blocks: int
    tokens: int
    concurrency: float
    blocks_per_request: int


def capacity(layout: KvLayout, rules: Rules, kv_bytes: float, *, length: int, in_flight: int) -> Capacity:
    """Blocks = floor(bytes / bytes_per_block); concurrency = blocks / blocks per request of `length`.

    Since 0.21 the log's token figure is concurrency x length; before, blocks over groups times the block
    size (vllm issue 43308).
    """
    blocks = max(0, int(kv_bytes // layout.bytes_per_block))
    per_request = layout.blocks_per_request(length, in_flight=in_flight)
    concurrency = blocks / per_request
    if rules.grouped_tokens:
        tokens = int(concurrency * length)
    else:
        tokens = blocks // layout.groups * layout.block_tokens
    return Capacity(blocks, tokens, concurrency, per_request)


def needed_bytes(layout: KvLayout, rules: Rules, *, length: int, in_flight: int) -> int:
    """The KV bytes below which the engine refuses to start at this length, the null block included."""
    blocks = layout.blocks_per_request(length, in_flight=in_flight) + (1 if rules.null_block else 0)
    return blocks * layout.bytes_per_block


def longest_context(layout: KvLayout, rules: Rules, kv_bytes: float, *, limit: int, in_flight: int) -> int:
    """The greatest length up to `limit` of which one request fits, 0 if none does (a binary search, as vLLM's)."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if needed_bytes(layout, rules, length=middle, in_flight=in_flight) <= kv_bytes:
            low = middle
        else:
            high = middle - 1
    return low
