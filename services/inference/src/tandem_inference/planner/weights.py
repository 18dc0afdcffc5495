"""Bytes that "Model loading took X GiB" reports: every tensor with its quantisation and the allocator's rounding."""

from __future__ import annotations

from collections.abc import Iterator

from tandem_inference.planner.dtypes import MODEL_DTYPES
from tandem_inference.planner.parameters import Linear
from tandem_inference.planner.quantization import SCHEMES, Scheme
from tandem_inference.planner.shape.model import ModelShape
from tandem_inference.planner.tensors import tensors
from tandem_inference.planner.units import MIB, round_up

SMALL_MULTIPLE = 512
LARGE_LEAST = 10 * MIB
LARGE_MULTIPLE = 2 * MIB
LARGE_WASTE = MIB
UNSPLIT_LEAST = 20 * MIB


def allocated(size: int, *, unsplit: bool = False) -> int:
    """Bytes PyTorch's caching allocator hands out for a request of `size` bytes.

    Requests are multiples of 512 B; from 10 MiB on a segment of its own is a multiple of 2 MiB, and its
    rest stays with the tensor when it is at most 1 MiB. With `max_split_size` 20 MiB (`unsplit`, what
    vLLM 0.32 sets while loading) larger tensors keep the whole rest. Source: c10/cuda/CUDACachingAllocator
    (round_size, get_allocation_size, should_split).
    """
    rounded = round_up(size, SMALL_MULTIPLE)
    if rounded < LARGE_LEAST:
        return rounded
    segment = round_up(rounded, LARGE_MULTIPLE)
    keeps_rest = segment - rounded <= LARGE_WASTE or (unsplit and rounded >= UNSPLIT_LEAST)
    return segment if keeps_rest else rounded


def linear_parts(linear: Linear, scheme: Scheme, size: int, *, pads_output: bool = True) -> Iterator[int]:
    """Bytes of each parameter of one linear layer (or one stack of experts)."""
    covered = scheme.covers_dense or linear.experts
    parts = (scheme if covered else SCHEMES["none"]).parts
    outputs, inputs = _padded(linear, scheme, pads_output=pads_output)
    for part in parts(outputs, inputs, size):
        yield part * max(1, linear.experts)
    if linear.bias:
        yield outputs * size * max(1, linear.experts)


def _padded(linear: Linear, scheme: Scheme, *, pads_output: bool) -> tuple[int, int]:
    """MXFP4 kernels want the experts' widths in multiples of 128 and the hidden size in 256.

    Source: vllm fused_moe/oracle/mxfp4.py, mxfp4_round_up_hidden_size_and_intermediate_size (Marlin:
    gpt-oss-120b 65.92 of 65.97 GiB logged). The Triton kernels of Hopper leave the last output as it is
    (64.7 of 64.38 logged by 0.14, 20b over two cards 6.97 of 7.01 by 0.19).
    """
    if scheme.name != "mxfp4" or not linear.experts:
        return linear.outputs, linear.inputs
    if len(linear.slices) > 1:
        return sum(round_up(part, 128) for part in linear.slices), round_up(linear.inputs, 256)
    return round_up(linear.outputs, 256) if pads_output else linear.outputs, round_up(linear.inputs, 128)


def weight_bytes(
    shape: ModelShape,
    scheme: Scheme,
    dtype: str,
    *,
    tensor_parallel: int = 1,
    unsplit: bool = False,
    pads_output: bool = True,
    spare_tables: bool = False,
    layers: int | None = None,
    first: bool = True,
    last: bool = True,
) -> int:
    """Bytes of one rank's weights, cos/sin tables included.

    `unsplit`, `pads_output` and `spare_tables` are properties of the release and the card, see `allocated`,
    `_padded` and `ModelShape.rope_spare_rows`.
    """
    size = MODEL_DTYPES[dtype]
    spare = shape.rope_spare_rows * shape.rotary_dim * size if spare_tables else 0
    total = allocated(spare, unsplit=unsplit)
    held = tensors(shape, tensor_parallel=tensor_parallel, layers=layers, first=first, last=last)
    for tensor in held:
        if isinstance(tensor, Linear):
            parts = linear_parts(tensor, scheme, size, pads_output=pads_output)
            each = sum(allocated(part, unsplit=unsplit) for part in parts)
        else:
            each = allocated(tensor.elements * (tensor.element_bytes or size), unsplit=unsplit)
        total += each * tensor.count
    return total


def parameter_count(shape: ModelShape) -> int:
    """Parameters of the checkpoint: what model cards call the size; tables and copies are not counted."""
    skipped = ("rope tables", "kv up for decoding")
    total = 0
    for tensor in tensors(shape):
        if isinstance(tensor, Linear):
            elements = tensor.outputs * (tensor.inputs + (1 if tensor.bias else 0)) * max(1, tensor.experts)
        else:
            elements = 0 if tensor.name in skipped else tensor.elements
        total += elements * tensor.count
    padding = round_up(shape.vocab, 64) - shape.vocab
    return total - padding * shape.hidden * (1 if shape.tied else 2)
