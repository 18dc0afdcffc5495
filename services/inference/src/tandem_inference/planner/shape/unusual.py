"""Reads the dense decoders whose config.json does not fit the common pattern: Falcon and MPT."""

from __future__ import annotations

from tandem_inference.planner.shape.dense import assemble, read_dimensions
from tandem_inference.planner.shape.fields import Fields
from tandem_inference.planner.shape.model import Attention, Block, FeedForward, ModelShape
from tandem_inference.planner.shape.traits import Traits


def read_falcon(name: str, fields: Fields) -> ModelShape:
    """Falcon: one KV head (7B) or `num_kv_heads` groups (40B, 180B), parallel layers, tied embeddings.

    Source: vllm/model_executor/models/falcon.py; the old decoder has one layer norm, the new one two.
    """
    dims = read_dimensions(fields)
    modern = fields.flag("new_decoder_architecture", default=False)
    bias = fields.flag("bias", default=False)
    if modern:
        kv_heads = fields.count("num_kv_heads", "n_head_kv", default=dims.heads)
    else:
        kv_heads = 1 if fields.flag("multi_query", default=True) else dims.heads
    alibi = fields.flag("alibi", default=False)
    parallel = fields.flag("parallel_attn", default=True)
    norms = 2 if modern or not parallel else 1
    attention = Attention(
        kind="full",
        heads=dims.heads,
        kv_heads=kv_heads,
        head_dim=dims.head_dim,
        qkv_bias=bias,
        out_bias=bias,
    )
    part = FeedForward(fields.count("ffn_hidden_size", default=4 * dims.hidden), gated=False, bias=bias)
    traits = Traits(norm_bias=True, tied=True, rotary="alibi" if alibi else "rope")
    blocks = (Block(dims.layers, attention, part, norms * 2 * dims.hidden),)
    return assemble(name, "falcon", fields, dims=dims, traits=traits, blocks=blocks)


def read_mpt(name: str, fields: Fields) -> ModelShape:
    """MPT: ALiBi, weight-only layer norms, `expansion_ratio`; KV heads in a nested section.

    Source: vllm/model_executor/models/mpt.py.
    """
    dims = read_dimensions(fields)
    nested = fields.section("attn_config")
    kv_heads = nested.count("kv_n_heads", default=dims.heads) if nested else dims.heads
    learned = nested is not None and not nested.flag("alibi", default=False)
    bias = not fields.flag("no_bias", default=True)
    attention = Attention(
        kind="full",
        heads=dims.heads,
        kv_heads=kv_heads,
        head_dim=dims.head_dim,
        qkv_bias=bias,
        out_bias=bias,
    )
    ratio = fields.count("expansion_ratio", default=4)
    part = FeedForward(ratio * dims.hidden, gated=False, bias=bias)
    traits = Traits(tied=True, norm_bias=bias, rotary="learned" if learned else "alibi")
    blocks = (Block(dims.layers, attention, part, 2 * dims.hidden * (2 if bias else 1)),)
    return assemble(name, "mpt", fields, dims=dims, traits=traits, blocks=blocks)
