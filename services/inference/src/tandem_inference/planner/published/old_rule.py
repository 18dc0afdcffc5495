"""The rule the published API's own code used in 2025, kept for comparison only; it is not what vLLM does."""

from __future__ import annotations

from dataclasses import dataclass

from tandem_inference.planner.units import GIB

BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0, "int8": 1.0, "int4": 0.5}
DIVISOR = {None: 1.0, "Q8": 2.0, "Q4": 4.0}
WARNING_ABOVE = 80.0


@dataclass(frozen=True, slots=True)
class OldTerms:
    """GiB, unrounded."""

    weights: float
    activation: float
    min_kv: float
    max_kv: float
    overhead: float


def old_terms(
    *,
    billions: float,
    layers: int,
    hidden: int,
    intermediate: int,
    dtype: str,
    kv_dtype: str,
    quantization: str | None,
    batch: int,
    seq_len: int,
    model_len: int,
) -> OldTerms:
    """yoparky/gpu_usage_approximator, app.py, March 2025.

    Weights x 1.05, activations of all layers at once, and a KV cache of full hidden size whatever the heads.
    """
    size = BYTES[dtype]
    token = 2 * layers * hidden * BYTES.get(kv_dtype, 1.0) * batch / GIB
    return OldTerms(
        weights=billions * 1e9 * size / GIB / DIVISOR[quantization] * 1.05,
        activation=layers * batch * seq_len * (3 * hidden + 2 * intermediate) * size / GIB,
        min_kv=token * 16,
        max_kv=token * model_len,
        overhead=0.75 + (0.25 if quantization else 0.0),
    )
