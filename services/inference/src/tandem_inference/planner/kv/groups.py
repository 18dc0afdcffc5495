"""How vLLM cuts layers into KV cache groups, and how many blocks a request of full length needs from each."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from tandem_inference.planner.dtypes import MODEL_DTYPES
from tandem_inference.planner.kv.pages import BLOCK_TOKENS, hybrid_block_tokens, state_bytes, token_bytes
from tandem_inference.planner.releases import Rules
from tandem_inference.planner.shape.model import Attention, AttentionKind, ModelShape
from tandem_inference.planner.units import ceil_div

GROUP_MERGE_RATIO = 1.5
"""Below this ratio of layer counts the larger one is the group size (vllm v1/core/kv_cache_utils.py)."""


@dataclass(frozen=True, slots=True)
class LayerKind:
    """Layers that share a cache layout."""

    kind: AttentionKind
    layers: int
    page_bytes: int
    window: int | None


@dataclass(frozen=True, slots=True)
class KvLayout:
    """The cache of one rank: `groups` of a kind, each of `group_layers` layers with pages of one size."""

    kinds: tuple[LayerKind, ...]
    group_layers: int
    block_tokens: int
    bytes_per_block: int
    groups: int
    token_bytes: int

    def blocks_per_request(self, length: int, *, in_flight: int, prefix_caching: bool = True) -> int:
        """Blocks one request of `length` tokens can come to hold at once.

        Full attention and MLA: all its tokens. Sliding: the window and the tokens in flight, and one block
        because windows do not start at block edges. Chunked: a chunk and the tokens in flight. Linear state:
        one block, two with prefix caching. Source: max_memory_usage_bytes of the specs in
        vllm/v1/kv_cache_interface.py.
        """
        total = 0
        for one in self.kinds:
            groups = ceil_div(one.layers, self.group_layers)
            total += groups * self._blocks(one, length, in_flight, prefix_caching=prefix_caching)
        return total

    def _blocks(self, one: LayerKind, length: int, in_flight: int, *, prefix_caching: bool) -> int:
        if one.kind == "linear":
            return 2 if prefix_caching else 1
        if one.window is None:
            return ceil_div(length, self.block_tokens)
        if one.kind == "chunked":
            return ceil_div(min(one.window + in_flight, length), self.block_tokens)
        held = min(one.window - 1 + in_flight, length)
        return ceil_div(held, self.block_tokens) + 1


def group_size(counts: list[int]) -> int:
    """Layers per group: the smaller kind's count, or the larger's if that is less than half as many again."""
    return max(counts) if max(counts) < min(counts) * GROUP_MERGE_RATIO else min(counts)


def kv_layout(
    shape: ModelShape,
    kv_dtype: str,
    *,
    dtype: str,
    tensor_parallel: int = 1,
    block_tokens: int = BLOCK_TOKENS,
    layers: int | None = None,
) -> KvLayout:
    """The cache layout of one rank holding `layers` layers (all of them by default)."""
    share = (layers or shape.layers) / shape.layers
    counts: dict[tuple[AttentionKind, int | None], int] = defaultdict(int)
    samples: dict[tuple[AttentionKind, int | None], Attention] = {}
    for block in shape.blocks:
        key = (block.attention.kind, block.attention.window)
        counts[key] += max(1, round(block.count * share))
        samples[key] = block.attention
    sizes = {
        key: token_bytes(one, kv_dtype, tensor_parallel=tensor_parallel)
        for key, one in samples.items()
        if one.kind != "linear"
    }
    widest = max(sizes.values(), default=1)
    for one in samples.values():
        if one.linear is not None:
            state = state_bytes(one.linear, MODEL_DTYPES[dtype], tensor_parallel=tensor_parallel)
            block_tokens = hybrid_block_tokens(state, widest, least=block_tokens)
    page = block_tokens * widest
    kinds = tuple(LayerKind(key[0], counts[key], page, key[1]) for key in samples)
    per_group = group_size([one.layers for one in kinds])
    groups = sum(ceil_div(one.layers, per_group) for one in kinds)
    per_token = sum(counts[key] * sizes.get(key, 0) for key in samples)
    return KvLayout(kinds, per_group, block_tokens, page * per_group, groups, per_token)


def in_flight_tokens(rules: Rules, tokens: int, *, async_scheduling: bool = True) -> int:
    """Tokens scheduled but not settled: one batch, or two with asynchronous scheduling (the newer default)."""
    return tokens * (rules.steps_in_flight if async_scheduling else 1)
