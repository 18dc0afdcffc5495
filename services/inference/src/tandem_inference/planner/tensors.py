"""Lists a model's tensors as vLLM fuses and shards them: qkv, gate_up, experts, vocabulary, small vectors."""

from __future__ import annotations

from collections.abc import Iterator

from tandem_inference.planner.parameters import Linear, Plain, Tensor, shard
from tandem_inference.planner.recurrent import recurrent_tensors
from tandem_inference.planner.shape.model import (
    Attention,
    Block,
    FeedForward,
    Latent,
    ModelShape,
)
from tandem_inference.planner.units import round_up

VOCAB_PADDING = 64
"""vllm/model_executor/layers/vocab_parallel_embedding.py DEFAULT_VOCAB_PADDING_SIZE"""


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
    if attention.recurrent is not None:
        yield from recurrent_tensors(shape.hidden, attention.recurrent, count, ways)
    if attention.kind in ("recurrent", "none"):
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
    if attention.kind == "mla":
        yield Plain("kv up for decoding", latent.kv_rank * up, count)
    yield Plain("kv norm", latent.kv_rank, count)
    yield Linear("attention out", (shape.hidden,), heads * latent.value_dim, count)


def _feed_forward(shape: ModelShape, part: FeedForward, count: int, ways: int) -> Iterator[Tensor]:
    if part.experts:
        yield from _experts(shape, part, count, ways)
    dense = part.widest_dense
    if dense:
        width = shard(dense, ways)
        inner = (width, width) if part.gated else (width,)
        yield Linear("mlp in", inner, shape.hidden, count, part.bias)
        yield Linear("mlp out", (shape.hidden,), width, count, part.bias)


def _experts(shape: ModelShape, part: FeedForward, count: int, ways: int) -> Iterator[Tensor]:
    """Routed experts, which may work in a narrower `latent` space between two projections."""
    width, hidden = shard(part.intermediate, ways), part.latent or shape.hidden
    inner = (width, width) if part.gated else (width,)
    yield Linear("experts in", inner, hidden, count, part.expert_bias, part.experts)
    yield Linear("experts out", (hidden,), width, count, part.expert_bias, part.experts)
    yield Plain("router", part.experts * (shape.hidden + (1 if part.router_bias else 0)), count)
    if part.latent:
        yield Linear("latent in", (part.latent,), shape.hidden, count)
        yield Linear("latent out", (shape.hidden,), part.latent, count)
    if part.shared_gate:
        yield Plain("shared gate", shape.hidden, count)
