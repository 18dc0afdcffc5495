"""Lists a model's tensors as vLLM fuses and shards them: qkv, gate_up, experts, vocabulary, small vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tandem_inference.planner.shape.model import (
    Attention,
    Block,
    FeedForward,
    Latent,
    LinearState,
    ModelShape,
)
from tandem_inference.planner.units import ceil_div, round_up

VOCAB_PADDING = 64
"""vllm/model_executor/layers/vocab_parallel_embedding.py DEFAULT_VOCAB_PADDING_SIZE"""


@dataclass(frozen=True, slots=True)
class Linear:
    """`count` fused linear layers with local output `slices` and local `inputs`; these may be quantised.

    `experts` > 0 means each of them is a stack of that many matrices in one tensor.
    """

    name: str
    slices: tuple[int, ...]
    inputs: int
    count: int
    bias: bool = False
    experts: int = 0

    @property
    def outputs(self) -> int:
        return sum(self.slices)


@dataclass(frozen=True, slots=True)
class Plain:
    """`count` tensors of `elements` each, in the model's dtype or `element_bytes`; never quantised."""

    name: str
    elements: int
    count: int = 1
    element_bytes: int | None = None


Tensor = Linear | Plain


def shard(value: int, ways: int) -> int:
    return ceil_div(value, ways)


def tensors(
    shape: ModelShape,
    *,
    tensor_parallel: int = 1,
    layers: int | None = None,
    first: bool = True,
    last: bool = True,
) -> Iterator[Tensor]:
    """Every tensor of one rank; a pipeline stage holds `layers` layers and the ends it is told to hold."""
    share = (layers or shape.layers) / shape.layers
    for block in shape.blocks:
        count = max(1, round(block.count * share))
        yield from _attention(shape, block, count, tensor_parallel)
        yield from _feed_forward(shape, block.feed_forward, count, tensor_parallel)
        if block.norm_elements:
            yield Plain("norms", shape.hidden, max(1, block.norm_elements // shape.hidden) * count)
    yield from _ends(shape, tensor_parallel, first=first, last=last)


def _ends(shape: ModelShape, ways: int, *, first: bool, last: bool) -> Iterator[Plain]:
    vocabulary = shard(round_up(shape.vocab, VOCAB_PADDING), ways) * shape.hidden
    if first or (last and shape.tied):
        yield Plain("embedding", vocabulary)
    if last and not shape.tied:
        yield Plain("head", vocabulary)
    if last:
        yield Plain("final norm", shape.final_norm_elements)
    if shape.head_bias and last:
        yield Plain("head bias", shard(shape.vocab, ways))
    if shape.learned_positions and first:
        yield Plain("positions", shape.learned_positions * shape.hidden)
    if shape.rope_rows:
        yield Plain("rope tables", shape.rope_rows * shape.rotary_dim)
    if first:
        for extra in shape.extras:
            yield Plain(extra.name, shard(extra.elements, ways if extra.sharded else 1), extra.count)


def _attention(shape: ModelShape, block: Block, count: int, ways: int) -> Iterator[Tensor]:
    attention = block.attention
    if attention.latent is not None:
        yield from _latent(shape, attention, attention.latent, count, ways)
        return
    if attention.linear is not None:
        yield from _linear_state(shape, attention.linear, count, ways)
        return
    heads = shard(attention.heads, ways) * attention.head_dim
    kv = max(1, attention.kv_heads // ways) * attention.head_dim
    queries = 2 * heads if attention.output_gate else heads
    yield Linear("qkv", (queries, kv, kv), shape.hidden, count, attention.qkv_bias)
    yield Linear("attention out", (shape.hidden,), heads, count, attention.out_bias)
    if attention.norm_elements:
        yield Plain("q/k norms", attention.norm_elements, count)
    if attention.sinks:
        yield Plain("sinks", shard(attention.heads, ways), count)


def _latent(
    shape: ModelShape, attention: Attention, latent: Latent, count: int, ways: int
) -> Iterator[Tensor]:
    """MLA: kv_b is kept twice, the second time split into W_UK and W_UV for decoding.

    Source: vllm/model_executor/layers/attention/mla_attention.py, process_weights_after_loading.
    """
    heads = shard(attention.heads, ways)
    queries = heads * (latent.nope_dim + latent.rope_dim)
    down = latent.kv_rank + latent.rope_dim
    if latent.query_rank:
        yield Linear("qkv down", (latent.query_rank, down), shape.hidden, count)
        yield Linear("q up", (queries,), latent.query_rank, count)
        yield Plain("q norm", latent.query_rank, count)
    else:
        yield Linear("q", (queries,), shape.hidden, count)
        yield Linear("kv down", (down,), shape.hidden, count)
    up = heads * (latent.nope_dim + latent.value_dim)
    yield Linear("kv up", (up,), latent.kv_rank, count)
    yield Plain("kv up for decoding", latent.kv_rank * up, count)
    yield Plain("kv norm", latent.kv_rank, count)
    yield Linear("attention out", (shape.hidden,), heads * latent.value_dim, count)


def _linear_state(shape: ModelShape, state: LinearState, count: int, ways: int) -> Iterator[Tensor]:
    keys = shard(state.key_heads, ways) * state.key_dim
    values = shard(state.value_heads, ways) * state.value_dim
    heads = shard(state.value_heads, ways)
    yield Linear("delta qkvz", (keys, keys, values, values), shape.hidden, count)
    yield Linear("delta ba", (heads, heads), shape.hidden, count)
    yield Plain("delta convolution", (2 * keys + values) * state.conv_kernel, count)
    yield Plain("delta vectors", 2 * heads + state.value_dim, count, element_bytes=4)
    yield Linear("delta out", (shape.hidden,), values, count)


def _feed_forward(shape: ModelShape, part: FeedForward, count: int, ways: int) -> Iterator[Tensor]:
    if part.experts:
        width = shard(part.intermediate, ways)
        yield Linear("experts in", (width, width), shape.hidden, count, part.expert_bias, part.experts)
        yield Linear("experts out", (shape.hidden,), width, count, part.expert_bias, part.experts)
        yield Plain("router", part.experts * (shape.hidden + (1 if part.router_bias else 0)), count)
        if part.shared_gate:
            yield Plain("shared gate", shape.hidden, count)
    dense = part.widest_dense
    if dense:
        width = shard(dense, ways)
        inner = (width, width) if part.gated else (width,)
        yield Linear("mlp in", inner, shape.hidden, count, part.bias)
        yield Linear("mlp out", (shape.hidden,), width, count, part.bias)
