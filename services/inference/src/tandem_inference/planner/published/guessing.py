"""Makes up a plausible decoder from a parameter count, for models whose shape nobody gives; always said so."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from tandem_inference.planner.shape.model import ModelShape
from tandem_inference.planner.shape.reading import shape_from_config
from tandem_inference.planner.units import round_up
from tandem_inference.planner.weights import parameter_count

VOCABULARY = 32000
HEAD_DIM = 128
LAYER_RANGES = (
    (0.2, 12),
    (0.7, 24),
    (2.0, 24),
    (5.0, 32),
    (10.0, 32),
    (20.0, 40),
    (45.0, 60),
    (100.0, 80),
    (250.0, 96),
    (math.inf, 126),
)
"""Layers by size in billions, from the open models of the catalogue."""


def billions_in_name(name: str) -> float | None:
    """The size a name states: 7 for `foo-7b`, 0.135 for `bar-135M`, 56 for `baz-8x7B`; None if it states none."""
    match = re.search(
        r"(?<![A-Za-z0-9.])(?:(\d{1,2})x)?(\d{1,5}(?:\.\d{1,4})?)\s?([bm])(?![a-z0-9])", name, re.IGNORECASE
    )
    if not match:
        return None
    size = float(match[2]) * (float(match[1]) if match[1] else 1.0)
    size = size / 1000 if match[3].lower() == "m" else size
    return size if 0 < size <= 100000 else None


def guess_layers(billions: float) -> int:
    return next(layers for limit, layers in LAYER_RANGES if billions <= limit)


def solve_hidden(billions: float, layers: int) -> int:
    """The hidden size H of 12 L H^2 + 2 V H = parameters, to the nearest two heads.

    4 H^2 attention and 8 H^2 gated feed-forward (3 x 8/3) per layer, two vocabulary matrices.
    """
    a, b, c = 12.0 * layers, 2.0 * VOCABULARY, -billions * 1e9
    root = (-b + math.sqrt(b * b - 4 * a * c)) / (2 * a)
    step = 2 * HEAD_DIM if root >= 2 * HEAD_DIM else 64
    return max(64, round(root / step) * step)


def solve_intermediate(billions: float, layers: int, hidden: int, vocab: int) -> int:
    """What the feed-forward layers must be for the parameters to come out; 8/3 x hidden if nothing is left."""
    left = billions * 1e9 - 2.0 * vocab * hidden - 4.0 * layers * hidden**2
    width = round(left / (3.0 * layers * hidden) / 64) * 64
    return width if width >= hidden // 2 else round_up(hidden * 8 // 3, 64)


def guess_shape(
    name: str,
    billions: float,
    *,
    layers: int | None = None,
    hidden: int | None = None,
    heads: int | None = None,
    head_dim: int | None = None,
    kv_heads: int | None = None,
    intermediate: int | None = None,
    vocab: int | None = None,
    max_position: int = 4096,
) -> ModelShape:
    """A Llama-like shape of that size; given dimensions are kept, the others follow from the size.

    Without a number of KV heads every head has its own (multi-head attention), the larger cache.
    """
    layers = layers or guess_layers(billions)
    hidden = hidden or solve_hidden(billions, layers)
    heads = heads or max(1, hidden // (head_dim or min(HEAD_DIM, hidden)))
    config = {
        "model_type": "llama",
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "head_dim": head_dim or max(1, hidden // heads),
        "num_key_value_heads": kv_heads or heads,
        "intermediate_size": intermediate
        or solve_intermediate(billions, layers, hidden, vocab or VOCABULARY),
        "vocab_size": vocab or VOCABULARY,
        "max_position_embeddings": max_position,
        "torch_dtype": "float16",
    }
    note = f"shape of {name[:80]!r} guessed from {billions:g} billion parameters: a plain decoder without grouped heads"
    return replace(shape_from_config(name, config, source="guessed from the size"), assumptions=(note,))


def size_in_billions(shape: ModelShape) -> float:
    return parameter_count(shape) / 1e9
