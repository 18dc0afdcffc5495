"""Reads DeepSeek-V2/V3-like decoders: latent attention (MLA) and routed plus shared experts."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tandem_inference.planner.shape.dense import Dimensions, assemble
from tandem_inference.planner.shape.experts import EXPERTS, Mixture, dense_layers, expert_part
from tandem_inference.planner.shape.fields import Fields
from tandem_inference.planner.shape.model import Attention, Block, FeedForward, Latent, ModelShape
from tandem_inference.planner.shape.traits import Traits

FAMILIES: Final = frozenset({"deepseek_v2", "deepseek_v3", "kimi_k2", "minicpm3"})
EXPANDED: Final = frozenset({"minicpm3"})
"""Families whose latent vLLM expands before the cache: every head has keys and values, of the keys' width."""


def read_latent(name: str, family: str, fields: Fields) -> ModelShape:
    """Source: vllm/model_executor/models/deepseek_v2.py and config.json of DeepSeek-V2-Lite."""
    heads = fields.count("num_attention_heads")
    latent = Latent(
        kv_rank=fields.count("kv_lora_rank"),
        rope_dim=fields.count("qk_rope_head_dim"),
        nope_dim=fields.count("qk_nope_head_dim"),
        value_dim=fields.count("v_head_dim"),
        query_rank=fields.optional_count("q_lora_rank", least=1),
    )
    dims = Dimensions(
        hidden=fields.count("hidden_size"),
        layers=fields.count("num_hidden_layers"),
        heads=heads,
        kv_heads=1,
        head_dim=latent.nope_dim + latent.rope_dim,
        vocab=fields.count("vocab_size"),
        max_position=fields.count("max_position_embeddings"),
    )
    attention = Attention("mla", heads, 1, dims.head_dim, latent=latent)
    if family in EXPANDED:
        attention = replace(attention, kind="full", kv_heads=heads)
    dense = FeedForward(fields.count("intermediate_size"))
    blocks: tuple[Block, ...]
    if fields.raw(*EXPERTS) is None:
        blocks = (Block(dims.layers, attention, dense, 2 * dims.hidden),)
    else:
        sparse = expert_part(fields, Mixture(Traits(), width=("moe_intermediate_size",)))
        plain = len(dense_layers(fields, dims.layers))
        blocks = (Block(dims.layers - plain, attention, sparse, 2 * dims.hidden),)
        if plain:
            blocks = (Block(plain, attention, dense, 2 * dims.hidden), *blocks)
    shape = assemble(name, family, fields, dims=dims, traits=Traits(), blocks=blocks)
    return replace(shape, rotary_dim=latent.rope_dim)
