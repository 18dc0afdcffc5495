"""Builders of planner input for these tests: a small config.json, flags, an estimate; each with one thing changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tandem_inference.planner import EngineFlags, Estimate, estimate, find_gpu, shape_of
from tandem_inference.planner.units import GIB

CSV = Path(__file__).parents[4] / "benchmarks" / "planner_accuracy" / "vllm_memory_logs.csv"


def config(**changes: Any) -> dict[str, Any]:
    """A Llama-like config.json; a change to None removes the field."""
    values: dict[str, Any] = {
        "model_type": "llama",
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "num_hidden_layers": 22,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "vocab_size": 32000,
        "max_position_embeddings": 2048,
        "torch_dtype": "bfloat16",
        **changes,
    }
    return {name: value for name, value in values.items() if value is not None}


def planned(model: str, gpu: str = "L4", **flags: Any) -> Estimate:
    return estimate(shape_of(model), find_gpu(gpu), EngineFlags(**flags))


def in_gib(size_bytes: float) -> float:
    return size_bytes / GIB
