"""Layers with a state instead of a KV cache (delta nets, Mamba, short convolutions): their tensors and their state's bytes.

Which model has which of them is `shape`'s knowledge; how a state becomes a page of the cache is `kv`'s.
"""

from __future__ import annotations

from collections.abc import Iterator

from tandem_inference.planner.parameters import Linear, Plain, Tensor, shard
from tandem_inference.planner.shape.model import Recurrent

FP32 = 4


def local_groups(layer: Recurrent, ways: int) -> int:
    """Groups of one rank; where they do not divide by the ranks, each rank has a copy of the one it needs."""
    return layer.groups // ways if layer.groups % ways == 0 else 1


def convolved_channels(layer: Recurrent, ways: int) -> int:
    """Channels that pass the causal convolution: the values, and with groups the keys and queries (B and C)."""
    return shard(layer.inner, ways) + 2 * local_groups(layer, ways) * layer.state


def state_bytes(layer: Recurrent, size: int, *, tensor_parallel: int = 1) -> int:
    """Bytes of one request's state: the convolution's tail in the model's dtype and the recurrent matrix.

    Source: vllm/model_executor/layers/mamba/mamba_utils.py, MambaStateShapeCalculator.
    """
    tail = convolved_channels(layer, tensor_parallel) * (layer.kernel - 1)
    matrix = shard(layer.inner, tensor_parallel) * layer.state
    return tail * size + matrix * (layer.state_bytes or size)


def working_elements(layer: Recurrent, ways: int) -> int:
    """Elements per token alive in the widest moment of the layer: its projection, what is convolved, what comes out."""
    inner = shard(layer.inner, ways)
    return 2 * inner + 2 * convolved_channels(layer, ways) + shard(layer.heads, ways)


def recurrent_tensors(hidden: int, layer: Recurrent, count: int, ways: int) -> Iterator[Tensor]:
    """Source: vllm's MambaMixer, MambaMixer2, ShortConv and GatedDeltaNet layers."""
    makers = {"delta": _delta, "mamba1": _mamba1, "mamba2": _mamba2, "convolution": _convolution}
    yield from makers[layer.kind](hidden, layer, count, ways)


def _kernel(layer: Recurrent, count: int, ways: int) -> Plain:
    return Plain(
        "convolution", convolved_channels(layer, ways) * (layer.kernel + (1 if layer.conv_bias else 0)), count
    )


def _delta(hidden: int, layer: Recurrent, count: int, ways: int) -> Iterator[Tensor]:
    keys = local_groups(layer, ways) * layer.state
    values, heads = shard(layer.inner, ways), shard(layer.heads, ways)
    yield Linear("delta qkvz", (keys, keys, values, values), hidden, count)
    yield Linear("delta ba", (heads, heads), hidden, count)
    yield _kernel(layer, count, ways)
    yield Plain("delta vectors", 2 * heads + layer.norm_elements, count, element_bytes=FP32)
    yield Linear("delta out", (hidden,), values, count)


def _mamba2(hidden: int, layer: Recurrent, count: int, ways: int) -> Iterator[Tensor]:
    inner, heads = shard(layer.inner, ways), shard(layer.heads, ways)
    shared = local_groups(layer, ways) * layer.state
    yield Linear("mamba in", (inner, inner, shared, shared, heads), hidden, count, layer.bias)
    yield _kernel(layer, count, ways)
    yield Plain("mamba decay", heads, count, element_bytes=FP32)
    yield Plain("mamba vectors", 2 * heads + shard(layer.norm_elements, ways), count)
    yield Linear("mamba out", (hidden,), inner, count, layer.bias)


def _mamba1(hidden: int, layer: Recurrent, count: int, ways: int) -> Iterator[Tensor]:
    """None of these layers is quantised: vLLM gives them no quantisation method."""
    inner, wide = shard(layer.inner, ways), layer.rank + 2 * layer.state
    bias = 1 if layer.bias else 0
    yield Plain("mamba in", 2 * inner * (hidden + bias), count)
    yield _kernel(layer, count, ways)
    yield Plain("mamba x", wide * inner, count)
    yield Plain("mamba dt", inner * (layer.rank + 1), count)
    yield Plain("mamba decay", inner * layer.state, count, element_bytes=FP32)
    yield Plain("mamba skip", inner + layer.norm_elements, count)
    yield Plain("mamba out", hidden * (inner + bias), count)


def _convolution(hidden: int, layer: Recurrent, count: int, ways: int) -> Iterator[Tensor]:
    inner = shard(layer.inner, ways)
    yield Linear("convolution in", (inner, inner, inner), hidden, count, layer.bias)
    yield _kernel(layer, count, ways)
    yield Linear("convolution out", (hidden,), inner, count, layer.bias)
