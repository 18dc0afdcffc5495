"""Reads dense decoders (Llama and its many relatives) from a config.json into a `ModelShape`."""

from __future__ import annotations

from dataclasses import dataclass

from tandem_inference.planner.errors import UnreadableConfigError
from tandem_inference.planner.shape.fields import Fields
from tandem_inference.planner.shape.model import Attention, Block, FeedForward, ModelShape
from tandem_inference.planner.shape.rotary import rotary_width, table_rows
from tandem_inference.planner.shape.traits import Traits

HIDDEN = ("hidden_size", "n_embd", "d_model")
LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
HEADS = ("num_attention_heads", "n_head", "n_heads")
POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
INTERMEDIATE = ("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size")


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The numbers every decoder has."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    max_position: int


def read_dimensions(fields: Fields, *, head_dim: int | None = None) -> Dimensions:
    """Raises `UnreadableConfigError` for missing, absurd or contradicting numbers."""
    hidden = fields.count(*HIDDEN)
    heads = fields.count(*HEADS)
    given = fields.optional_count("head_dim", "attention_head_dim", "kv_channels", least=1) or head_dim
    if given is None and hidden % heads:
        raise UnreadableConfigError(
            f"{fields.where}: hidden_size {hidden} is not a multiple of num_attention_heads {heads} "
            "and no head_dim is given",
            field="num_attention_heads",
        )
    kv_heads = fields.count("num_key_value_heads", "num_kv_heads", "n_head_kv", default=heads)
    if heads % kv_heads:
        raise UnreadableConfigError(
            f"{fields.where}: num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}",
            field="num_key_value_heads",
        )
    return Dimensions(
        hidden=hidden,
        layers=fields.count(*LAYERS),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=given or hidden // heads,
        vocab=fields.count("vocab_size"),
        max_position=fields.count(*POSITIONS),
    )


def read_dtype(fields: Fields) -> str:
    """The declared dtype. vLLM computes in 16 bits when none is declared, so that is assumed."""
    declared = fields.text("torch_dtype", "dtype", default="bfloat16").removeprefix("torch.")
    if declared not in ("float32", "float16", "bfloat16"):
        raise UnreadableConfigError(
            f"{fields.where}: torch_dtype must be float32, float16 or bfloat16; got {declared!r:.40}",
            field="torch_dtype",
        )
    return declared


def is_set(fields: Fields, rule: bool | str) -> bool:
    """A trait that is either constant or decided by a config flag."""
    return fields.flag(rule, default=False) if isinstance(rule, str) else rule


def norm_elements(attention_norm: str, dims: Dimensions) -> int:
    if attention_norm == "head":
        return 2 * dims.head_dim
    if attention_norm == "full":
        return (dims.heads + dims.kv_heads) * dims.head_dim
    return 0


def sliding_flags(fields: Fields, dims: Dimensions, traits: Traits) -> tuple[bool, ...]:
    """For each layer whether it attends in a window only.

    Source: `layer_types` where the config has it; else the model class's pattern (Gemma 2: every
    second layer attends fully, Gemma 3 every sixth); else a plain `sliding_window` windows all layers,
    except for Qwen, whose window counts only with `use_sliding_window`.
    """
    kinds = fields.words("layer_types")
    if kinds is not None:
        if len(kinds) != dims.layers:
            raise UnreadableConfigError(
                f"{fields.where}: layer_types has {len(kinds)} entries for {dims.layers} layers",
                field="layer_types",
            )
        return tuple(kind == "sliding_attention" for kind in kinds)
    window = fields.optional_count("sliding_window")
    if not window:
        return (False,) * dims.layers
    if traits.sliding_every:
        every = fields.count("sliding_window_pattern", default=traits.sliding_every)
        return tuple((index + 1) % every != 0 for index in range(dims.layers))
    if traits.scores_own_window:
        return (True,) * dims.layers
    if not fields.flag("use_sliding_window", default=False):
        return (False,) * dims.layers
    start = fields.count("max_window_layers", default=0, least=0)
    return tuple(index >= start for index in range(dims.layers))


def feed_forward(fields: Fields, dims: Dimensions, traits: Traits) -> FeedForward:
    fallback = traits.mlp_ratio * dims.hidden if traits.mlp_ratio else None
    return FeedForward(
        intermediate=fields.count(*INTERMEDIATE, default=fallback),
        gated=traits.gated,
        bias=is_set(fields, traits.mlp_bias),
    )


def attention_blocks(
    fields: Fields, dims: Dimensions, traits: Traits, part: FeedForward
) -> tuple[Block, ...]:
    """One block per kind of attention, in the order of first appearance."""
    flags = sliding_flags(fields, dims, traits)
    norm_size = dims.hidden * (2 if traits.norm_bias else 1)
    blocks = []
    for sliding in dict.fromkeys(flags):
        attention = Attention(
            kind="sliding" if sliding else "full",
            heads=dims.heads,
            kv_heads=dims.kv_heads,
            head_dim=dims.head_dim,
            window=fields.count("sliding_window") if sliding else None,
            qkv_bias=is_set(fields, traits.qkv_bias),
            out_bias=is_set(fields, traits.out_bias),
            norm_elements=norm_elements(traits.qk_norm, dims),
        )
        blocks.append(Block(flags.count(sliding), attention, part, traits.norms * norm_size))
    return tuple(blocks)


def assemble(
    name: str, family: str, fields: Fields, *, dims: Dimensions, traits: Traits, blocks: tuple[Block, ...]
) -> ModelShape:
    """The parts around the layers: vocabulary, positions, final norm, ties, LoRA's view."""
    tied = fields.flag("tie_word_embeddings", default=traits.tied)
    rotates = traits.rotary == "rope"
    rows = table_rows(fields, dims.max_position) if rotates else 0
    if traits.sliding_every and rotates and family.startswith("gemma3"):
        rows += dims.max_position
    norm_size = dims.hidden * (2 if traits.norm_bias else 1)
    return ModelShape(
        name=name,
        family=family,
        hidden=dims.hidden,
        vocab=dims.vocab,
        blocks=blocks,
        tied=tied,
        max_position=dims.max_position,
        rotary_dim=rotary_width(fields, dims.head_dim, traits.rotary_share) if rotates else 0,
        rope_rows=rows,
        dtype=read_dtype(fields),
        final_norm_elements=norm_size * (2 if traits.embedding_norm else 1) if traits.norms else 0,
        head_bias=traits.head_bias,
        learned_positions=(dims.max_position + traits.offset_positions) if traits.rotary == "learned" else 0,
        lora_vocab_modules=(3 if tied else 2) if traits.lora_vocab else 0,
    )


def read_dense(name: str, family: str, fields: Fields, traits: Traits) -> ModelShape:
    dims = read_dimensions(fields, head_dim=traits.head_dim)
    part = feed_forward(fields, dims, traits)
    return assemble(
        name,
        family,
        fields,
        dims=dims,
        traits=traits,
        blocks=attention_blocks(fields, dims, traits, part),
    )
