"""How vLLM cuts layers into KV cache groups, and how many blocks a request of full length needs from each."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

from tandem_inference.planner.dtypes import MODEL_DTYPES
from tandem_inference.planner.kv.pages import BLOCK_TOKENS, hybrid_block_tokens, token_bytes
from tandem_inference.planner.recurrent import state_bytes
from tandem_inference.planner.releases import Rules
from tandem_inference.planner.shape.model import AttentionKind, ModelShape
from tandem_inference.planner.units import ceil_div

GROUP_MERGE_RATIO = 1.5
"""Below this ratio of layer counts the larger one is the group size (vllm v1/core/kv_cache_utils.py)."""


LATENT_HYBRID_BLOCK = 128
"""MLA kernels beside recurrent layers want blocks of a multiple of this (vllm/platforms/interface.py)."""


@dataclass(frozen=True, slots=True)
class LayerKind:
    """Layers that share a cache layout: `page_bytes` for `block_tokens` tokens (or for one state)."""

    kind: AttentionKind
    layers: int
    page_bytes: int
    window: int | None
    block_tokens: int


@dataclass(frozen=True, slots=True)
class KvLayout:
    """The cache of one rank: `groups` of `group_layers` layers each, all with blocks of `bytes_per_block`.

    `states` is how many state blocks a request of a recurrent layer holds.
    """

    kinds: tuple[LayerKind, ...]
    group_layers: int
    block_tokens: int
    bytes_per_block: int
    groups: int
    token_bytes: int
    states: int = 1

    def blocks_per_request(self, length: int, *, in_flight: int) -> int:
        """Blocks one request of `length` tokens can come to hold at once.

        Full attention and MLA: all its tokens. Sliding: the window and the tokens in flight, and one block
        because windows do not start at block edges. Chunked: a chunk and the tokens in flight. Recurrent:
        one state; beside attention, where prefixes are cached, the former one too, and with Mamba 2 one at the
        end of the cached prefix. Source: max_memory_usage_bytes of the
        specs in vllm/v1/kv_cache_interface.py.
        """
        return sum(
            ceil_div(one.layers, self.group_layers) * self._blocks(one, length, in_flight)
            for one in self.kinds
        )

    def _blocks(self, one: LayerKind, length: int, in_flight: int) -> int:
        if one.kind == "recurrent":
            return self.states
        if one.window is None:
            return ceil_div(length, one.block_tokens)
        if one.kind == "chunked":
            return ceil_div(min(one.window + in_flight, length), one.block_tokens)
        held = min(one.window - 1 + in_flight, length)
        return ceil_div(held, one.block_tokens) + 1


def group_size(counts: list[int]) -> int:
    """Layers per group: the smaller kind's count, or the larger's if that is less than half as many again."""
    return max(counts) if max(counts) < min(counts) * GROUP_MERGE_RATIO else min(counts)


Counted = dict[tuple[AttentionKind, int | None, int], int]
"""Layers by kind, window and bytes per token."""


def _counted(shape: ModelShape, kv_dtype: str, *, ways: int, share: float) -> tuple[Counted, Counted]:
    """The layers with keys and values, and those with a state (whose third key is 0)."""
    attending: Counted = defaultdict(int)
    recurrent: Counted = defaultdict(int)
    for block in shape.blocks:
        one, count = block.attention, max(1, round(block.count * share))
        if one.kind not in ("recurrent", "none") and one.cached:
            kind: AttentionKind = "full" if one.kind == "mla" else one.kind
            attending[kind, one.window, token_bytes(one, kv_dtype, tensor_parallel=ways)] += count
        if one.recurrent is not None:
            recurrent["recurrent", None, 0] += count
    return attending, recurrent


def kv_layout(
    shape: ModelShape,
    kv_dtype: str,
    *,
    dtype: str,
    tensor_parallel: int = 1,
    block_tokens: int = BLOCK_TOKENS,
    layers: int | None = None,
    checkpoints: bool = True,
) -> KvLayout:
    """The cache layout of one rank holding `layers` layers (all of them by default).

    `checkpoints` is whether this release's Mamba 2 layers hold a further state at a prefix' end.

    Source: vllm v1/core/kv_cache_utils.py, get_kv_cache_groups and unify_kv_cache_spec_page_size.
    """
    share = (layers or shape.layers) / shape.layers
    attending, recurrent = _counted(shape, kv_dtype, ways=tensor_parallel, share=share)
    per_token = sum(size * count for (_, _, size), count in attending.items())
    if not recurrent and len({key[:2] for key in attending}) == 1:
        return _one_group(attending, block_tokens, per_token)
    state = max(
        (
            state_bytes(one.attention.recurrent, MODEL_DTYPES[dtype], tensor_parallel=tensor_parallel)
            for one in shape.blocks
            if one.attention.recurrent is not None
        ),
        default=0,
    )
    if not attending:
        return _states_alone(recurrent, state, block_tokens)
    widest = max(size for _, _, size in attending)
    if recurrent:
        latent = any(block.attention.latent is not None for block in shape.blocks)
        least = max(block_tokens, LATENT_HYBRID_BLOCK) if latent else block_tokens
        block_tokens = hybrid_block_tokens(state, widest, least=least)
    found = _equal_pages({**attending, **recurrent}, block_tokens, widest * block_tokens, per_token)
    return replace(found, states=3) if checkpoints and _has_mamba2(shape) else found


def _has_mamba2(shape: ModelShape) -> bool:
    layers = (block.attention.recurrent for block in shape.blocks)
    return any(one is not None and one.kind == "mamba2" for one in layers)


def _one_group(attending: Counted, block_tokens: int, per_token: int) -> KvLayout:
    """All layers need the same number of tokens: one group, whatever the size of each layer's page."""
    (kind, window), layers = next(iter(attending))[:2], sum(attending.values())
    page = per_token * block_tokens
    only = LayerKind(kind, layers, page // layers, window, block_tokens)
    return KvLayout((only,), layers, block_tokens, page, 1, per_token)


def _states_alone(recurrent: Counted, state: int, block_tokens: int) -> KvLayout:
    """A model without attention: one block holds the states of all layers, and prefixes are not cached."""
    layers = sum(recurrent.values())
    only = LayerKind("recurrent", layers, state, None, block_tokens)
    return KvLayout((only,), layers, block_tokens, state * layers, 1, 0)


def _equal_pages(counts: Counted, block_tokens: int, page: int, per_token: int) -> KvLayout:
    """Kinds of layers side by side: smaller pages get more tokens where that fits exactly, else padding."""
    kinds: dict[tuple[AttentionKind, int | None, int], int] = defaultdict(int)
    for (kind, window, size), count in counts.items():
        own = size * block_tokens
        fits = page // own if own and page % own == 0 else 1
        kinds[kind, window, block_tokens * fits] += count
    found = tuple(
        LayerKind(kind, count, page, window, tokens) for (kind, window, tokens), count in kinds.items()
    )
    per_group = group_size([one.layers for one in found])
    groups = sum(ceil_div(one.layers, per_group) for one in found)
    return KvLayout(found, per_group, block_tokens, page * per_group, groups, per_token, states=2)


def in_flight_tokens(rules: Rules, tokens: int, *, async_scheduling: bool = True) -> int:
    """Tokens scheduled but not settled: one batch, or two with asynchronous scheduling (the newer default)."""
    return tokens * (rules.steps_in_flight if async_scheduling else 1)
