"""Peak of the profile run: the forward pass over the largest batch, the sampler over all rows, expert and image work."""

from __future__ import annotations

from tandem_inference.planner.dtypes import MODEL_DTYPES
from tandem_inference.planner.gpus import Gpu
from tandem_inference.planner.parameters import shard
from tandem_inference.planner.quantization import Scheme
from tandem_inference.planner.recurrent import working_elements
from tandem_inference.planner.releases import Rules
from tandem_inference.planner.shape.model import ModelShape
from tandem_inference.planner.units import MIB, Interval

FORWARD_SLACK = 15 * MIB
SAMPLER_SLACK = 46 * MIB
COLD_COMPILE_BYTES = 700 * MIB
"""torch.compile's tuning adds 0.7 to 0.9 GiB to the profiled peak on a first, cold start (Qwen3-4B, 0.27.1)."""


def forward_bytes(
    shape: ModelShape, rules: Rules, scheme: Scheme, size: int, *, tokens: int, tensor_parallel: int
) -> float:
    """Bytes of tokens x (3 x intermediate / tp + streams x hidden) elements, plus a quantised copy of the MLP's middle.

    gate_up's two halves and their product are alive together with the residual stream; a recurrent layer counts
    where it is wider. Source: vLLM's MLP and RMSNorm; the constant is fitted on 41 dense runs of 0.19 (mean error 0.007 GiB).
    """
    width = shard(shape.intermediate, tensor_parallel)
    gated = any(block.feed_forward.gated for block in shape.blocks)
    widest = (3 if gated else 2) * width
    for block in shape.blocks:
        if block.attention.recurrent is not None:
            widest = max(widest, working_elements(block.attention.recurrent, tensor_parallel))
    elements = tokens * (widest + rules.residual_streams * shape.hidden)
    copies = tokens * width * scheme.activation_bytes
    return elements * size + copies + FORWARD_SLACK


def sampler_bytes(
    shape: ModelShape, rules: Rules, gpu: Gpu, size: int, *, rows: int, tokens: int
) -> Interval:
    """(b + c) x rows x vocabulary, the final hidden states, and the Triton sampler's per-multiprocessor scratch.

    b is the logits' size, c is `Rules.sampler_bytes`. It does not depend on max_model_len.
    """
    scratch = gpu.multiprocessors * shape.vocab * 4 if rules.sampler_sort_free else 0
    fixed = tokens * shape.hidden * size + scratch + SAMPLER_SLACK
    low, likely, high = ((each + size) * rows * shape.vocab + fixed for each in rules.sampler_bytes)
    return Interval(low, likely, high)


def expert_workspace_bytes(
    shape: ModelShape, scheme: Scheme, size: int, *, tokens: int, tensor_parallel: int
) -> float:
    """Two buffers of the Triton experts that stay allocated beside whatever runs: rows x max(I, H) and max(2I, H).

    Source: vllm fused_moe workspace_shapes. The MXFP4 kernels do without.
    """
    if not shape.is_moe or scheme.name == "mxfp4":
        return 0.0
    sparse = [block.feed_forward for block in shape.blocks if block.feed_forward.experts]
    largest = 0.0
    for part in sparse:
        width = shard(part.intermediate, tensor_parallel)
        columns = max(width, shape.hidden) + max(2 * width, shape.hidden)
        largest = max(largest, tokens * part.top_k * columns * size)
    return largest


def encoder_bytes(shape: ModelShape, size: int, *, tokens: int) -> float:
    """Image inputs and encoder outputs kept during the profile: as many images as fill the token budget.

    Source: vllm v1 profile_run with the multimodal budget (max(tokens, one image)).
    """
    encoder = shape.encoder
    if encoder is None:
        return 0.0
    images = max(1, tokens // encoder.tokens)
    outputs = max(tokens, encoder.tokens) if images == 1 else images * encoder.tokens
    pixels = min(images * encoder.pixels, 2**28)
    return (outputs * shape.hidden + pixels) * size


def transient(
    shape: ModelShape,
    rules: Rules,
    gpu: Gpu,
    scheme: Scheme,
    dtype: str,
    *,
    tokens: int,
    rows: int,
    tensor_parallel: int = 1,
    samples: bool = True,
    cold: bool = False,
) -> Interval:
    """The peak above what stays allocated: max(forward, sampler) + expert workspace + image work.

    `samples` is False on all pipeline stages but the last.
    """
    size = MODEL_DTYPES[dtype]
    forward = Interval.exact(
        forward_bytes(shape, rules, scheme, size, tokens=tokens, tensor_parallel=tensor_parallel)
        + (0 if samples else 2 * tokens * shape.hidden * size)
    )
    peak = forward
    if samples:
        sampler = sampler_bytes(shape, rules, gpu, size, rows=rows, tokens=tokens)
        peak = Interval(*(max(pair) for pair in zip(_ends(forward), _ends(sampler), strict=True)))
    beside = expert_workspace_bytes(shape, scheme, size, tokens=tokens, tensor_parallel=tensor_parallel)
    beside += encoder_bytes(shape, size, tokens=tokens)
    total = peak + Interval.exact(beside)
    tuning = COLD_COMPILE_BYTES if cold else 0
    return Interval(total.low * 0.97, total.likely + tuning, total.high * 1.03 + 30 * MIB + 1.3 * tuning)


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.low, interval.likely, interval.high
