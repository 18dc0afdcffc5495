"""Bytes one layer's KV cache takes for one block of tokens."""

from __future__ import annotations

from tandem_inference.planner.dtypes import KV_DTYPES
from tandem_inference.planner.shape.model import Attention
from tandem_inference.planner.units import ceil_div, round_up

BLOCK_TOKENS = 16
"""vLLM's default block size (vllm/config/cache.py)."""


def local_kv_heads(attention: Attention, tensor_parallel: int) -> int:
    """KV heads of one rank; each rank holds at least one, so heads are copied beyond that."""
    return max(1, attention.kv_heads // tensor_parallel)


def token_bytes(attention: Attention, kv_dtype: str, *, tensor_parallel: int = 1) -> int:
    """Bytes per token and layer.

    Keys and values of every KV head; with MLA one latent vector shared by all heads (no values, and not
    divided by tensor parallelism). The per-token-head formats add a 4-byte scale per key and per value.
    Source: vllm/v1/kv_cache_interface.py, AttentionSpec and MLAAttentionSpec.
    """
    size = KV_DTYPES[kv_dtype]
    if attention.kind == "mla" and attention.latent is not None:
        return round((attention.latent.kv_rank + attention.latent.rope_dim) * size)
    heads = local_kv_heads(attention, tensor_parallel)
    scales = 8 if kv_dtype.endswith("per_token_head") else 0
    return round(heads * (2 * attention.head_dim * size + scales))


def hybrid_block_tokens(state: int, per_token: int, *, least: int = BLOCK_TOKENS) -> int:
    """Block size of a hybrid: the fewest tokens, in steps of 16, whose page holds one state.

    Source: vllm/platforms/interface.py, _align_hybrid_block_size.
    """
    return max(least, round_up(ceil_div(state, per_token), least))
