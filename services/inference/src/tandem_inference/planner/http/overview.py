"""What `GET /`, `GET /known-architectures` and `GET /gpus` answer: the catalogue, the cards and how to ask."""

from __future__ import annotations

from functools import cache
from typing import Any

from tandem_inference.planner.catalogue import closed_models, entries, shape_of
from tandem_inference.planner.gpus import all_gpus
from tandem_inference.planner.published.request import DTYPES, QUANTIZATIONS
from tandem_inference.planner.published.shapes import architecture_of
from tandem_inference.planner.releases import DEFAULT_VERSION
from tandem_inference.planner.weights import parameter_count

EXAMPLE = {
    "model_name": "meta-llama/Llama-2-7b",
    "max_seq_len": 2048,
    "dtype": "float16",
    "max_batch_size": 32,
    "gpu_memory_utilization": 0.9,
    "quantization": None,
    "params_billions": None,
    "architecture": {
        "num_layers": 32,
        "hidden_size": 4096,
        "num_heads": 32,
        "head_dim": 128,
        "intermediate_size": 11008,
    },
}


@cache
def known_architectures() -> dict[str, Any]:
    """Every catalogued model by its hub id; closed ones are listed without dimensions."""
    found: dict[str, Any] = {}
    for entry in entries():
        shape = shape_of(entry.id)
        found[entry.id] = {
            **architecture_of(shape),
            "family": entry.family,
            "model_type": shape.family,
            "params_billions": round(parameter_count(shape) / 1e9, 3),
            "max_position": shape.max_position,
            "aliases": list(entry.aliases),
            "source": entry.source,
            "servable": True,
        }
    for closed in closed_models():
        found[closed.id] = {
            "family": f"closed model of {closed.maker}",
            "servable": False,
            "reason": "weights are not published; there are no dimensions to give",
            "aliases": list(closed.aliases),
            "source": closed.source,
        }
    return found


def gpus() -> list[dict[str, Any]]:
    return [
        {
            "id": gpu.id,
            "nameplate_gb": gpu.nameplate_gb,
            "cuda_total_gib": gpu.total_gib,
            "context_gib": gpu.context_gib,
            "context_measured": gpu.context_measured,
            "largest_gpu_memory_utilization": round(gpu.idle_share, 3),
            "multiprocessors": gpu.multiprocessors,
            "compute_capability": gpu.capability,
            "bandwidth_gbs": gpu.bandwidth_gbs,
            "tflops_16_bit": gpu.tflops_16,
            "source": gpu.source,
        }
        for gpu in all_gpus()
    ]


def overview() -> dict[str, Any]:
    return {
        "name": "vLLM GPU memory calculator",
        "description": "Estimates the GPU memory that vLLM needs, term by term as vLLM accounts for it.",
        "vllm_version": DEFAULT_VERSION,
        "equation": "total = model + activation + kv_cache + cuda_overhead",
        "endpoints": {
            "POST /estimate-gpu-memory": "memory of one model",
            "GET /known-architectures": "models in the catalogue",
            "POST /plan": "several engines on one card",
            "GET /gpus": "cards as CUDA sees them",
            "GET /planner": "the calculator as a page",
        },
        "dtypes": list(DTYPES),
        "quantization": [*QUANTIZATIONS, None],
        "unit": 'GB (10^9 bytes); ask for GiB with "unit": "GiB"',
        "example_request": EXAMPLE,
    }
