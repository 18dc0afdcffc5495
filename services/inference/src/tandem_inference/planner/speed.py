"""Upper bounds of speed from a card's data sheet; real engines reach perhaps half. No promise, no measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tandem_inference.planner.estimate import Estimate
from tandem_inference.planner.parameters import Linear
from tandem_inference.planner.shape.model import ModelShape
from tandem_inference.planner.tensors import tensors


@dataclass(frozen=True, slots=True)
class SpeedBounds:
    """Tokens per second no engine on this card can exceed, one way alone and `batch` ways at once."""

    prefill_tokens_per_s: float
    decode_tokens_per_s_alone: float
    decode_tokens_per_s_batch: float
    batch: int

    def as_json(self) -> dict[str, Any]:
        return {
            "prefill_tokens_per_s_at_most": round(self.prefill_tokens_per_s, 1),
            "decode_tokens_per_s_alone_at_most": round(self.decode_tokens_per_s_alone, 1),
            "decode_tokens_per_s_batch_at_most": round(self.decode_tokens_per_s_batch, 1),
            "batch": self.batch,
            "note": "upper bounds from the card's data sheet (bandwidth for decode, compute for prefill), not forecasts",
        }


def active_share(shape: ModelShape, requests: int) -> float:
    """Share of the expert weights read when `requests` tokens are decoded together."""
    parts = [block.feed_forward for block in shape.blocks if block.feed_forward.experts]
    if not parts:
        return 1.0
    return 1.0 - (1.0 - parts[0].top_k / parts[0].experts) ** requests


def _elements(shape: ModelShape) -> tuple[float, float]:
    """Matrix elements used for every token, and those of all experts."""
    dense = experts = 0.0
    for tensor in tensors(shape):
        if isinstance(tensor, Linear):
            size = float(tensor.outputs * tensor.inputs * tensor.count)
            if tensor.experts:
                experts += size * tensor.experts
            else:
                dense += size
    return dense + shape.hidden * shape.vocab, experts


def speed_bounds(answer: Estimate) -> SpeedBounds:
    """Decode: bytes read per step over bandwidth. Prefill: 2 operations per weight and token over throughput."""
    engine = answer.engine
    gpu, ways = engine.gpu, engine.flags.tensor_parallel
    dense, experts = _elements(engine.shape)
    share = experts / (dense + experts)
    weights = answer.parts.weights.likely * ways

    def step_bytes(requests: int, length: int) -> float:
        read = weights * (1 - share + share * active_share(engine.shape, requests))
        return read + requests * length * answer.parts.layout.token_bytes * ways

    length = max(1, answer.max_model_len // 2)
    batch = max(1, min(engine.rows, int(answer.capacity.concurrency)))
    bandwidth = gpu.bandwidth_gbs * 1e9 * ways
    eight_bit = engine.scheme.activation_bytes == 1
    operations = (gpu.tflops_8 if eight_bit else gpu.tflops_16) * 1e12 * ways
    active = dense + experts * active_share(engine.shape, 1)
    return SpeedBounds(
        prefill_tokens_per_s=operations / (2 * active),
        decode_tokens_per_s_alone=bandwidth / step_bytes(1, length),
        decode_tokens_per_s_batch=batch * bandwidth / step_bytes(batch, length),
        batch=batch,
    )
