"""Reads mixture-of-experts decoders with ordinary attention: Mixtral, Qwen MoE, gpt-oss, Granite MoE, Llama 4 ..."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from tandem_inference.planner.errors import UnreadableConfigError
from tandem_inference.planner.shape.dense import (
    Dimensions,
    assemble,
    is_set,
    norm_elements,
    read_dimensions,
    sliding_flags,
)
from tandem_inference.planner.shape.fields import Fields
from tandem_inference.planner.shape.model import Attention, AttentionKind, Block, FeedForward, ModelShape
from tandem_inference.planner.shape.traits import Traits

EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
CHOSEN = ("num_experts_per_tok", "experts_per_token", "num_experts_per_token", "moe_k", "moe_topk")
SHARED = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_shared_expert")


@dataclass(frozen=True, slots=True)
class Mixture:
    """What a family hard-codes about its experts, beside its attention's `traits`."""

    traits: Traits
    width: tuple[str, ...] = ("moe_intermediate_size", "intermediate_size")
    shared_gate: bool = False
    router_bias: bool = False
    expert_bias: bool = False
    sinks: bool = False


MIXTURES: Final[dict[str, Mixture]] = {
    "mixtral": Mixture(Traits(lora_vocab=True)),
    "qwen2_moe": Mixture(Traits(qkv_bias=True, scores_own_window=False), shared_gate=True),
    "qwen3_moe": Mixture(
        Traits(qkv_bias="attention_bias", qk_norm="head", lora_vocab=True, scores_own_window=False)
    ),
    "granitemoe": Mixture(Traits(qkv_bias="attention_bias", out_bias="attention_bias", lora_vocab=True)),
    "phimoe": Mixture(
        Traits(
            norm_bias=True,
            qkv_bias="attention_bias",
            out_bias="attention_bias",
            head_bias=True,
            lora_vocab=True,
        )
    ),
    "olmoe": Mixture(Traits(qk_norm="full", qkv_bias="attention_bias", out_bias="attention_bias")),
    "gpt_oss": Mixture(
        Traits(qkv_bias=True, out_bias=True, head_dim=64, sliding_every=2),
        router_bias=True,
        expert_bias=True,
        sinks=True,
    ),
    "glm4_moe": Mixture(Traits(qkv_bias="attention_bias", rotary_share=0.5, head_dim=128)),
    "llama4_text": Mixture(Traits(head_dim=128)),
    "minimax_m2": Mixture(Traits(qk_norm="full", head_dim=128), width=("intermediate_size",)),
    "ernie4_5_moe": Mixture(Traits(qkv_bias="use_bias", out_bias="use_bias", tied=True)),
    "hunyuan_v1_moe": Mixture(
        Traits(qkv_bias="attention_bias", out_bias="attention_bias", head_dim=128, tied=True)
    ),
    "bailing_moe": Mixture(Traits(qkv_bias="use_qkv_bias", out_bias="use_bias")),
    "dots1": Mixture(Traits(qkv_bias="attention_bias", qk_norm="head", head_dim=128)),
}
"""Source of each row: the class of that family in vllm/model_executor/models (0.32)."""


def expert_part(fields: Fields, rule: Mixture) -> FeedForward:
    """The mixture of one layer; `shared_intermediate` is the width of what runs for every token."""
    width = fields.count(*rule.width)
    experts = fields.count(*EXPERTS)
    top_k = fields.count(*CHOSEN)
    if top_k > experts:
        raise UnreadableConfigError(
            f"{fields.where}: num_experts_per_tok {top_k} exceeds the number of experts {experts}",
            field="num_experts_per_tok",
        )
    shared = fields.count("shared_expert_intermediate_size", default=0, least=0)
    if not shared:
        each = fields.count("moe_shared_expert_intermediate_size", default=width)
        shared = fields.count(*SHARED, default=0, least=0) * each
    return FeedForward(
        intermediate=width,
        experts=experts,
        top_k=top_k,
        shared_intermediate=shared,
        shared_gate=rule.shared_gate and shared > 0,
        router_bias=rule.router_bias,
        expert_bias=rule.expert_bias,
    )


def dense_layers(fields: Fields, layers: int) -> frozenset[int]:
    """Layers without experts: the first and last ones a config sets apart, `mlp_only_layers`, and off-step ones."""
    first = fields.count("first_k_dense_replace", "moe_layer_start_index", default=0, least=0)
    last = fields.count("moe_layer_end_index", default=layers - 1, least=0)
    step = fields.count("decoder_sparse_step", "moe_layer_freq", "moe_layer_interval", default=1)
    only = fields.raw("mlp_only_layers") or []
    named = {index for index in only if isinstance(index, int)} if isinstance(only, list) else set()
    return frozenset(
        index for index in range(layers) if not first <= index <= last or index in named or (index + 1) % step
    )


def read_mixture(name: str, family: str, fields: Fields) -> ModelShape:
    rule = MIXTURES[family]
    dims = read_dimensions(fields, head_dim=rule.traits.head_dim if family != "phimoe" else None)
    if family == "llama4_text":
        return _read_llama4(name, fields, dims, rule)
    sparse = expert_part(fields, rule)
    plain = dense_layers(fields, dims.layers)
    dense = FeedForward(fields.count("intermediate_size")) if plain else sparse
    flags = sliding_flags(fields, dims, rule.traits)
    kinds = Counter((sliding, index in plain) for index, sliding in enumerate(flags))
    blocks = tuple(
        Block(
            count,
            _attention(fields, dims, rule, sliding=sliding),
            dense if is_plain else sparse,
            rule.traits.norms * dims.hidden * (2 if rule.traits.norm_bias else 1),
        )
        for (sliding, is_plain), count in kinds.items()
    )
    return assemble(name, family, fields, dims=dims, traits=rule.traits, blocks=blocks)


def _attention(fields: Fields, dims: Dimensions, rule: Mixture, *, sliding: bool) -> Attention:
    qk_norm = norm_elements(rule.traits.qk_norm, dims)
    if fields.flag("use_qk_norm", default=False):
        qk_norm = 2 * dims.head_dim
    return Attention(
        kind="sliding" if sliding else "full",
        heads=dims.heads,
        kv_heads=dims.kv_heads,
        head_dim=dims.head_dim,
        window=fields.count("sliding_window") if sliding else None,
        qkv_bias=is_set(fields, rule.traits.qkv_bias),
        out_bias=is_set(fields, rule.traits.out_bias),
        norm_elements=qk_norm,
        sinks=rule.sinks,
    )


def _read_llama4(name: str, fields: Fields, dims: Dimensions, rule: Mixture) -> ModelShape:
    """Llama 4: chunked attention except every fourth layer, experts on every n-th, one shared expert.

    Source: vllm/model_executor/models/llama4.py.
    """
    step = fields.count("interleave_moe_layer_step", default=1)
    every = fields.count("no_rope_layer_interval", default=4)
    chunk = fields.count("attention_chunk_size", default=8192)
    width = fields.count("intermediate_size")
    sparse = FeedForward(
        width,
        experts=fields.count(*EXPERTS),
        top_k=fields.count(*CHOSEN),
        shared_intermediate=width,
    )
    dense = FeedForward(fields.count("intermediate_size_mlp", default=2 * width))
    kinds: Counter[tuple[AttentionKind, bool]] = Counter(
        ("full" if (index + 1) % every == 0 else "chunked", (index + 1) % step == 0)
        for index in range(dims.layers)
    )
    blocks = tuple(
        Block(
            count,
            Attention(
                kind, dims.heads, dims.kv_heads, dims.head_dim, window=chunk if kind == "chunked" else None
            ),
            sparse if has_experts else dense,
            2 * dims.hidden,
        )
        for (kind, has_experts), count in kinds.items()
    )
    return assemble(name, "llama4_text", fields, dims=dims, traits=rule.traits, blocks=blocks)
