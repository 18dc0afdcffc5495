"""Memory that is neither weights nor activations: libraries, communicators and the V2 runner's counters."""

from __future__ import annotations

from tandem_inference.planner.gpus import Gpu, is_hopper
from tandem_inference.planner.releases import Release, Rules
from tandem_inference.planner.shape.model import ModelShape
from tandem_inference.planner.units import GIB, Interval


def counter_bytes(shape: ModelShape, rules: Rules, *, rows: int) -> float:
    """The V2 runner's penalty counters: an int32 and a bit per row and vocabulary entry.

    Source: vllm/v1/worker/gpu/sample/penalties.py, output_bin_counts and prompt_bin_mask.
    """
    return rows * shape.vocab * rules.penalty_bytes


def context_bytes(gpu: Gpu, *, ranks: int = 1) -> int:
    """What one process takes before `free` is read: its CUDA context and, with several ranks, NCCL's first buffers.

    H100 logs of 0.19: 0.51 GiB alone, 1.48 to 1.55 GiB for each of 2 or 4 ranks; elsewhere the addition is
    taken as 0.3 GiB, which no log has confirmed.
    """
    if ranks == 1:
        return gpu.context_bytes
    return gpu.context_bytes + round((1.02 if is_hopper(gpu) else 0.3) * GIB)


def non_torch(rules: Rules, gpu: Gpu, *, ranks: int = 1, stages: int = 1) -> Interval:
    """What CUDA libraries and, with several ranks, NCCL and the all-reduce buffers take outside PyTorch.

    Measured, by engine generation and card generation (one figure for all models): 0.13 GiB on Hopper up to
    0.17 and 0.25 since; 0.05 GiB before and 0.11 GiB since on other cards; 2.1 GiB with tensor parallelism on
    Hopper since 0.18, 0.54 before; 0.2 GiB elsewhere; 0.07 GiB with pipeline stages alone. 0.33 creates the cuBLAS handles earlier, so they move
    into the context.
    """
    context = gpu.context_bytes if rules.context_in_budget else 0
    hopper = is_hopper(gpu)
    recent = rules.release >= Release(18)
    if ranks > 1:
        likely = (2.07 + 0.03 * (ranks - 2) if recent else 0.54) if hopper else 0.2
        return Interval(0.6 * likely * GIB, likely * GIB, 1.3 * likely * GIB)
    if hopper:
        low, likely, high = (0.2, 0.25, 0.46) if recent else (0.02, 0.13, 0.35)
    else:
        low, likely, high = (0.02, 0.11, 0.2) if recent else (0.01, 0.05, 0.35)
    if stages > 1:
        low, likely = 0.02, 0.07
    if rules.release >= Release(33):
        low, likely = 0.01, 0.05
    return Interval(low * GIB + context, likely * GIB + context, high * GIB + context)
