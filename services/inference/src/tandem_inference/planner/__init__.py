"""GPU memory planner for vLLM: pure Python, no vllm and no GPU; usable as library, command line, HTTP and page.

The layers, inwards out: units and shapes, the terms (weights, activation, KV cache ...), one engine's
estimate, several engines on a card, then the faces. See docs/reference/planner.md.
"""

from __future__ import annotations

from tandem_inference.planner.catalogue import shape_of
from tandem_inference.planner.engine import EngineFlags
from tandem_inference.planner.errors import (
    ClosedModelError,
    InvalidValueError,
    PlannerError,
    UnknownModelError,
    UnreadableConfigError,
)
from tandem_inference.planner.estimate import Estimate, estimate
from tandem_inference.planner.gpus import Gpu, all_gpus, find_gpu
from tandem_inference.planner.shape.model import ModelShape
from tandem_inference.planner.shape.reading import shape_from_config

__all__ = [
    "ClosedModelError",
    "EngineFlags",
    "Estimate",
    "Gpu",
    "InvalidValueError",
    "ModelShape",
    "PlannerError",
    "UnknownModelError",
    "UnreadableConfigError",
    "all_gpus",
    "estimate",
    "find_gpu",
    "shape_from_config",
    "shape_of",
]
