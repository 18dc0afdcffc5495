"""Reads models built from Mamba layers or short convolutions, alone or between attention layers.

Granite 4 hybrids, Nemotron-H, Jamba, Falcon-H1, LFM2, and the pure Mamba models. Source of each reader: the
class of that family in vllm/model_executor/models (0.32).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from tandem_inference.planner.errors import UnreadableConfigError
from tandem_inference.planner.shape.dense import Dimensions, assemble, read_dimensions
from tandem_inference.planner.shape.experts import CHOSEN, EXPERTS
from tandem_inference.planner.shape.fields import Fields
from tandem_inference.planner.shape.model import Attention, Block, FeedForward, ModelShape, Recurrent
from tandem_inference.planner.shape.traits import Traits

NOTHING = FeedForward(0)


def _experts(fields: Fields, width: int, *, shared: int = 0, gated: bool = True) -> FeedForward:
    experts, chosen = fields.count(*EXPERTS), fields.count(*CHOSEN)
    if chosen > experts:
        raise UnreadableConfigError(
            f"{fields.where}: {CHOSEN[0]} {chosen} exceeds the number of experts {experts}", field=CHOSEN[0]
        )
    return FeedForward(width, gated=gated, experts=experts, top_k=chosen, shared_intermediate=shared)


def _attention(dims: Dimensions, recurrent: Recurrent | None = None, **changes: Any) -> Attention:
    return Attention("full", dims.heads, dims.kv_heads, dims.head_dim, recurrent=recurrent, **changes)


def _state_alone(layer: Recurrent) -> Attention:
    """A layer without attention; its heads are those that tensor parallelism must divide."""
    return Attention("recurrent", layer.heads, 1, 1, recurrent=layer)


def _mamba2(fields: Fields, inner: int, **changes: Any) -> Recurrent:
    """Mamba 2 with the field names of Granite and Falcon."""
    return Recurrent(
        "mamba2",
        inner=inner,
        kernel=fields.count("mamba_d_conv", default=4),
        state=fields.count("mamba_d_state"),
        heads=fields.count("mamba_n_heads"),
        groups=fields.count("mamba_n_groups", default=1),
        conv_bias=fields.flag("mamba_conv_bias", default=True),
        bias=fields.flag("mamba_proj_bias", default=False),
        **{"norm_elements": inner, **changes},
    )


def _kinds(fields: Fields, layers: int, *names: str) -> tuple[str, ...]:
    """The list of layer kinds, as long as there are layers."""
    for name in names:
        kinds = fields.words(name)
        if kinds is not None:
            if len(kinds) != layers:
                raise UnreadableConfigError(
                    f"{fields.where}: {name} has {len(kinds)} entries for {layers} layers", field=name
                )
            return kinds
    raise UnreadableConfigError(f"{fields.where} lacks {names[0]}", field=names[0])


def read_granite_hybrid(name: str, family: str, fields: Fields) -> ModelShape:
    dims = read_dimensions(fields)
    experts = fields.optional_count("num_local_experts") or 0
    shared = fields.count("shared_intermediate_size", default=0, least=0)
    part = FeedForward(shared)
    if experts:
        part = _experts(fields, fields.count("intermediate_size"), shared=shared)
    bias = fields.flag("attention_bias", default=False)
    mamba = _mamba2(fields, fields.count("mamba_expand", default=2) * dims.hidden)
    kinds = Counter(
        kind in ("attention", "full_attention")
        for kind in _kinds(fields, dims.layers, "layer_types", "layers_block_type")
    )
    blocks = tuple(
        Block(
            count,
            _attention(dims, qkv_bias=bias, out_bias=bias) if attends else _state_alone(mamba),
            part,
            2 * dims.hidden,
        )
        for attends, count in kinds.items()
    )
    rotates = fields.text("position_embedding_type", default="nope") == "rope"
    traits = Traits(lora_vocab=True, rotary="rope" if rotates and kinds[True] else "alibi")
    return assemble(name, family, fields, dims=dims, traits=traits, blocks=blocks)


PATTERN: Final = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
_LONG_NAMES: Final = {"full_attention": "attention", "linear_attention": "mamba"}


def _nemotron_kinds(fields: Fields) -> tuple[str, ...]:
    pattern = fields.raw("hybrid_override_pattern")
    if isinstance(pattern, str) and pattern and set(pattern) <= PATTERN.keys():
        return tuple(PATTERN[letter] for letter in pattern)
    kinds = fields.words("layers_block_type") or fields.words("layer_types") or ()
    found = tuple(_LONG_NAMES.get(kind, kind) for kind in kinds)
    if pattern is not None or not found or not set(found) <= set(PATTERN.values()):
        raise UnreadableConfigError(
            f"{fields.where}: hybrid_override_pattern must be made of the letters {' '.join(PATTERN)}; got "
            f"{pattern!r:.60}",
            field="hybrid_override_pattern",
        )
    return found


def read_nemotron_h(name: str, family: str, fields: Fields) -> ModelShape:
    """Each layer is one of Mamba 2, attention, a plain MLP or a mixture; MLPs have no gate; the state is float32."""
    kinds = Counter(_nemotron_kinds(fields))
    given = read_dimensions(fields.over({"num_hidden_layers": sum(kinds.values())}))
    dims = replace(given, layers=sum(kinds.values()))
    heads = fields.count("mamba_num_heads")
    inner = heads * fields.count("mamba_head_dim")
    wide = fields.text("mamba_ssm_cache_dtype", default="float32") == "float32"
    mamba = Recurrent(
        "mamba2",
        inner=inner,
        kernel=fields.count("conv_kernel", default=4),
        state=fields.count("ssm_state_size"),
        heads=heads,
        groups=fields.count("n_groups", default=8),
        conv_bias=fields.flag("use_conv_bias", default=True),
        bias=fields.flag("use_bias", default=False),
        norm_elements=inner,
        state_bytes=4 if wide else None,
    )
    parts = {
        "mamba": (_state_alone(mamba), NOTHING),
        "attention": (_attention(dims), NOTHING),
        "mlp": (Attention("none", dims.heads, dims.kv_heads, dims.head_dim), _nemotron_mlp(fields, kinds)),
        "moe": (Attention("none", dims.heads, dims.kv_heads, dims.head_dim), _nemotron_moe(fields, kinds)),
    }
    blocks = tuple(Block(count, *parts[kind], dims.hidden) for kind, count in kinds.items())
    traits = Traits(lora_vocab=True, rotary="alibi")
    shape = assemble(name, family, fields, dims=dims, traits=traits, blocks=blocks)
    return replace(shape, tied=False)  # vLLM gives these a head of their own, whatever the config says


def _nemotron_mlp(fields: Fields, kinds: Counter[str]) -> FeedForward:
    if not kinds["mlp"]:
        return NOTHING
    width = fields.count("intermediate_size")
    return FeedForward(width, gated=False, bias=fields.flag("mlp_bias", default=False))


def _nemotron_moe(fields: Fields, kinds: Counter[str]) -> FeedForward:
    if not kinds["moe"]:
        return NOTHING
    shared = fields.count("n_shared_experts", default=0, least=0)
    if shared:
        shared *= fields.count("moe_shared_expert_intermediate_size")
    part = _experts(fields, fields.count("moe_intermediate_size"), shared=shared, gated=False)
    return replace(part, latent=fields.optional_count("moe_latent_size", least=1) or 0)


def read_jamba(name: str, family: str, fields: Fields) -> ModelShape:
    """Attention on every n-th layer, Mamba 1 with inner norms on the others; experts on every m-th."""
    dims = read_dimensions(fields)
    inner = fields.count("mamba_expand", default=2) * dims.hidden
    rank, state = fields.count("mamba_dt_rank"), fields.count("mamba_d_state", default=16)
    mamba = Recurrent(
        "mamba1",
        inner=inner,
        kernel=fields.count("mamba_d_conv", default=4),
        state=state,
        heads=inner,
        rank=rank,
        conv_bias=fields.flag("mamba_conv_bias", default=True),
        bias=fields.flag("mamba_proj_bias", default=False),
        norm_elements=rank + 2 * state,
    )
    width = fields.count("intermediate_size")
    many = fields.count("num_experts", default=16) > 1
    sparse = _experts(fields.over({"num_experts": 16, "num_experts_per_tok": 2}), width) if many else NOTHING
    every, offset = fields.count("attn_layer_period", default=8), fields.count("attn_layer_offset", default=4)
    step, first = (
        fields.count("expert_layer_period", default=2),
        fields.count("expert_layer_offset", default=1, least=0),
    )
    kinds = Counter((index % every == offset, many and index % step == first) for index in range(dims.layers))
    blocks = tuple(
        Block(
            count,
            _attention(dims) if attends else _state_alone(mamba),
            sparse if is_sparse else FeedForward(width),
            2 * dims.hidden,
        )
        for (attends, is_sparse), count in kinds.items()
    )
    traits = Traits(lora_vocab=True, rotary="alibi")
    shape = assemble(name, family, fields, dims=dims, traits=traits, blocks=blocks)
    return replace(shape, tied=False)  # vLLM gives these a head of their own, whatever the config says


def read_falcon_h1(name: str, family: str, fields: Fields) -> ModelShape:
    """Attention and Mamba 2 side by side in every layer."""
    dims = read_dimensions(fields)
    inner = fields.optional_count("mamba_d_ssm", least=1) or (
        fields.count("mamba_expand", default=2) * dims.hidden
    )
    norm = inner if fields.flag("mamba_rms_norm", default=False) else 0
    bias = fields.flag("attention_bias", default=False)
    attention = _attention(dims, _mamba2(fields, inner, norm_elements=norm), qkv_bias=bias, out_bias=bias)
    part = FeedForward(fields.count("intermediate_size"), bias=fields.flag("mlp_bias", default=False))
    blocks = (Block(dims.layers, attention, part, 2 * dims.hidden),)
    return assemble(name, family, fields, dims=dims, traits=Traits(lora_vocab=True), blocks=blocks)


def _lfm2_width(fields: Fields) -> int:
    width = fields.count("block_ff_dim", "intermediate_size")
    if not fields.flag("block_auto_adjust_ff_dim", default=True):
        return width
    multiple = fields.count("block_multiple_of", default=256)
    width = int(fields.number("block_ffn_dim_multiplier", default=1.0) * int(2 * width / 3))
    return multiple * -(-width // multiple)


def _lfm2_kinds(fields: Fields, layers: int) -> tuple[str, ...]:
    full = fields.raw("full_attn_idxs")
    if isinstance(full, list) and fields.raw("layer_types") is None:
        return tuple("full_attention" if index in full else "conv" for index in range(layers))
    return _kinds(fields, layers, "layer_types")


def read_lfm2(name: str, family: str, fields: Fields) -> ModelShape:
    """Short gated convolutions, some attention with normed heads; the MoE ones start with dense layers."""
    dims = read_dimensions(fields)
    convolution = Recurrent(
        "convolution",
        inner=fields.count("conv_dim", default=dims.hidden),
        kernel=fields.count("conv_L_cache", default=3),
        conv_bias=fields.flag("conv_bias", default=False),
        bias=fields.flag("conv_bias", default=False),
    )
    mixes = family == "lfm2_moe"
    plain = fields.count("num_dense_layers", default=0, least=0) if mixes else dims.layers
    dense = FeedForward(fields.count("intermediate_size") if mixes else _lfm2_width(fields))
    sparse = _experts(fields, fields.count("moe_intermediate_size")) if mixes else dense
    kinds = Counter(
        (kind == "full_attention", index < plain)
        for index, kind in enumerate(_lfm2_kinds(fields, dims.layers))
    )
    blocks = tuple(
        Block(
            count,
            _attention(dims, norm_elements=2 * dims.head_dim) if attends else _state_alone(convolution),
            dense if is_dense else sparse,
            2 * dims.hidden,
        )
        for (attends, is_dense), count in kinds.items()
    )
    traits = Traits(lora_vocab=True, tied=True)
    return assemble(name, family, fields, dims=dims, traits=traits, blocks=blocks)


def read_pure_mamba(name: str, family: str, fields: Fields) -> ModelShape:
    """Mamba 1, its Falcon variant, and Mamba 2: no attention, no feed-forward part."""
    hidden, layers = fields.count("hidden_size"), fields.count("num_hidden_layers", "n_layer")
    state, expand = fields.count("state_size"), fields.count("expand", default=2)
    inner = expand * hidden if family == "mamba2" else fields.count("intermediate_size", default=2 * hidden)
    layer = Recurrent(
        "mamba2" if family == "mamba2" else "mamba1",
        inner=inner,
        kernel=fields.count("conv_kernel", default=4),
        state=state,
        heads=fields.count("num_heads") if family == "mamba2" else inner,
        groups=fields.count("n_groups", default=1) if family == "mamba2" else 0,
        rank=0 if family == "mamba2" else fields.count("time_step_rank"),
        conv_bias=fields.flag("use_conv_bias", default=True),
        bias=fields.flag("use_bias", default=False),
        norm_elements=inner if family == "mamba2" else 0,
        state_bytes=None,
    )
    length = fields.count("max_position_embeddings", default=2048)
    dims = Dimensions(hidden, layers, layer.heads, 1, 1, fields.count("vocab_size"), length)
    blocks = (Block(layers, _state_alone(layer), NOTHING, hidden),)
    traits = Traits(rotary="alibi", tied=family != "mamba2")
    return assemble(name, family, fields, dims=dims, traits=traits, blocks=blocks)


Reader = Callable[[str, str, Fields], ModelShape]
READERS: Final[dict[str, Reader]] = {
    "granitemoehybrid": read_granite_hybrid,
    "nemotron_h": read_nemotron_h,
    "jamba": read_jamba,
    "falcon_h1": read_falcon_h1,
    "lfm2": read_lfm2,
    "lfm2_moe": read_lfm2,
    "mamba": read_pure_mamba,
    "falcon_mamba": read_pure_mamba,
    "mamba2": read_pure_mamba,
}
