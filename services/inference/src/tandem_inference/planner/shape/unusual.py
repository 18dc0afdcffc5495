"""Reads the dense decoders whose config.json does not fit the common pattern: Falcon, MPT, Bloom, and early Chinese ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tandem_inference.planner.shape.dense import assemble, attention_blocks, read_dense, read_dimensions
from tandem_inference.planner.shape.fields import Fields
from tandem_inference.planner.shape.model import Attention, Block, FeedForward, ModelShape
from tandem_inference.planner.shape.traits import DENSE, Traits

SHORT_CONTEXT = 2048
"""What vLLM takes where a config names no length (vllm/config/model.py, _get_and_verify_max_len)."""


def read_falcon(name: str, family: str, fields: Fields) -> ModelShape:
    """Falcon: one KV head (7B) or `num_kv_heads` groups (40B, 180B), parallel layers, tied embeddings.

    Source: vllm/model_executor/models/falcon.py; the old decoder has one layer norm, the new one two.
    """
    dims = read_dimensions(fields.over({"max_position_embeddings": SHORT_CONTEXT}))
    modern = fields.flag("new_decoder_architecture", default=False)
    bias = fields.flag("bias", default=False)
    if modern:
        kv_heads = fields.count("num_kv_heads", "n_head_kv", default=dims.heads)
    else:
        kv_heads = 1 if fields.flag("multi_query", default=True) else dims.heads
    alibi = fields.flag("alibi", default=False)
    parallel = fields.flag("parallel_attn", default=True)
    norms = fields.count("num_ln_in_parallel_attn", default=2) if modern else (1 if parallel else 2)
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
    return assemble(name, family, fields, dims=dims, traits=traits, blocks=blocks)


def read_mpt(name: str, family: str, fields: Fields) -> ModelShape:
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
    return assemble(name, family, fields, dims=dims, traits=traits, blocks=blocks)


def read_bloom(name: str, family: str, fields: Fields) -> ModelShape:
    """Bloom: ALiBi, a norm after the embedding; `seq_length` may be missing."""
    lengths = ("seq_length", "n_positions", "max_position_embeddings")
    known = fields if fields.raw(*lengths) is not None else fields.over({"seq_length": SHORT_CONTEXT})
    return read_dense(name, family, known, DENSE["bloom"])


def read_baichuan(name: str, family: str, fields: Fields) -> ModelShape:
    """Baichuan: a Llama with fused W_pack; the 13B (any hidden size but 4096) uses ALiBi.

    Source: vllm/model_executor/models/baichuan.py.
    """
    length = fields.count("model_max_length", "max_position_embeddings", default=SHORT_CONTEXT)
    known = fields.over({"max_position_embeddings": length})
    rotates = fields.count("hidden_size") == 4096
    return read_dense(name, family, known, Traits(rotary="rope" if rotates else "alibi"))


def read_chatglm(name: str, family: str, fields: Fields) -> ModelShape:
    """ChatGLM2/3 and GLM-4-9B: their own field names, half-rotated heads, grouped queries, biased qkv.

    Source: vllm/model_executor/models/chatglm.py.
    """
    grouped = fields.flag("multi_query_attention", default=False)
    groups = fields.count("multi_query_group_num", default=1) if grouped else None
    known = fields.over(
        {
            "vocab_size": fields.count("padded_vocab_size", "vocab_size"),
            "num_key_value_heads": groups,
            "max_position_embeddings": fields.count("seq_length", default=SHORT_CONTEXT),
        }
    )
    traits = Traits(
        qkv_bias="add_qkv_bias", out_bias="add_bias_linear", mlp_bias="add_bias_linear", rotary_share=0.5
    )
    return read_dense(name, family, known, traits)


def read_qwen1(name: str, family: str, fields: Fields) -> ModelShape:
    """The first Qwen: `intermediate_size` counts gate and up together, every head has its own keys.

    Source: vllm/model_executor/models/qwen.py.
    """
    dims = read_dimensions(fields)
    part = FeedForward(fields.count("intermediate_size") // 2)
    traits = Traits(qkv_bias=True)
    return assemble(
        name, family, fields, dims=dims, traits=traits, blocks=attention_blocks(fields, dims, traits, part)
    )


READERS: Final[dict[str, Callable[[str, str, Fields], ModelShape]]] = {
    "falcon": read_falcon,
    "mpt": read_mpt,
    "bloom": read_bloom,
    "baichuan": read_baichuan,
    "chatglm": read_chatglm,
    "qwen": read_qwen1,
}
