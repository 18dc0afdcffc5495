"""Answers the published API's question with vLLM's true numbers, or with the old rule when asked for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tandem_inference.planner.answer import as_json
from tandem_inference.planner.engine import EngineFlags
from tandem_inference.planner.estimate import Estimate, estimate
from tandem_inference.planner.gpus import find_gpu
from tandem_inference.planner.published.guessing import billions_in_name, size_in_billions
from tandem_inference.planner.published.old_rule import WARNING_ABOVE, old_terms
from tandem_inference.planner.published.request import MemoryRequest
from tandem_inference.planner.published.shapes import architecture_of, shape_for
from tandem_inference.planner.shape.model import ModelShape
from tandem_inference.planner.units import GIB

UNITS = {"GB": (10**9, "GB (10^9 bytes)"), "GiB": (GIB, "GiB (2^30 bytes)")}

_WEIGHTS = {"int8": ("float16", "int8"), "int4": ("float16", "w4a16")}
_QUANTIZED = {"Q8": "int8", "Q4": "awq"}
_KV = {"int8": "int8_per_token_head", "int4": "int4_per_token_head"}


@dataclass(frozen=True, slots=True)
class Components:
    """The published terms, in the answer's unit, rounded to two digits."""

    weights: float
    activation: float
    min_kv: float
    max_kv: float
    overhead: float


def _flags(request: MemoryRequest) -> EngineFlags:
    dtype, quantization = _WEIGHTS.get(request.dtype, (request.dtype, None))
    if request.quantization is not None:
        quantization = _QUANTIZED[request.quantization]
    kv = request.kv_cache_dtype or request.dtype
    return EngineFlags(
        dtype=dtype,
        quantization=quantization,
        kv_cache_dtype=_KV.get(kv, kv),
        max_model_len=request.full_length,
        max_num_seqs=request.max_batch_size,
        gpu_memory_utilization=request.gpu_memory_utilization,
        vllm_version=request.vllm_version,
    )


def _prepared(
    request: MemoryRequest, load: Callable[[str], ModelShape]
) -> tuple[ModelShape, EngineFlags, list[str]]:
    shape = shape_for(request, load)
    flags = _flags(request)
    notes = list(shape.assumptions)
    if flags.quantization and shape.quantization:
        notes.append(f"the checkpoint is quantised as {shape.quantization}; quantization replaces that")
        shape = replace(shape, quantization=None)
    if request.quantization and request.dtype in _WEIGHTS:
        notes.append(
            f"quantization {request.quantization} decides the weights' size, dtype {request.dtype} does not"
        )
    if request.full_length < request.max_seq_len:
        notes.append("max_model_len is below max_seq_len: vLLM refuses longer sequences")
    return shape, flags, notes


def _true(request: MemoryRequest, answer: Estimate, divisor: int) -> Components:
    """Weights; transient; one block per sequence; batch x full length; context, libraries, counters, graphs."""
    parts = answer.parts
    scale = 1.0
    if request.params_billions is not None:
        scale = request.params_billions / size_in_billions(answer.engine.shape)
    overhead = answer.engine.gpu.context_bytes + (parts.non_torch + parts.counters + parts.graphs).likely
    batch = request.max_batch_size
    per_block, groups = parts.layout.bytes_per_block, parts.layout.groups
    return Components(
        weights=_round(parts.loaded.likely * scale, divisor),
        activation=_round(parts.transient.likely, divisor),
        min_kv=_round(batch * groups * per_block, divisor),
        max_kv=_round(batch * answer.capacity.blocks_per_request * per_block, divisor),
        overhead=_round(overhead, divisor),
    )


def _old(request: MemoryRequest, shape: ModelShape) -> Components:
    billions = request.params_billions or billions_in_name(request.model_name) or size_in_billions(shape)
    dims = architecture_of(shape)
    terms = old_terms(
        billions=billions,
        layers=dims["num_layers"],
        hidden=dims["hidden_size"],
        intermediate=dims["intermediate_size"],
        dtype=request.dtype,
        kv_dtype=request.kv_cache_dtype or request.dtype,
        quantization=request.quantization,
        batch=request.max_batch_size,
        seq_len=request.max_seq_len,
        model_len=request.full_length,
    )
    rounded = (
        round(value, 2)
        for value in (terms.weights, terms.activation, terms.min_kv, terms.max_kv, terms.overhead)
    )
    return Components(*rounded)


def _round(size_bytes: float, divisor: int) -> float:
    return round(size_bytes / divisor, 2)


def _document(request: MemoryRequest, shape: ModelShape, found: Components, unit: str) -> dict[str, Any]:
    shared = found.weights + found.activation + found.overhead
    total_min = round(shared + found.min_kv, 2)
    total_max = round(shared + found.max_kv, 2)
    recommended = round(total_max / request.gpu_memory_utilization, 2)
    warning = None
    if recommended > WARNING_ABOVE:
        warning = (
            f"{recommended:g} {unit[:3].strip()} is more than one 80 GB card has: plan for several cards, a smaller "
            "batch or length, or quantised weights"
        )
    return {
        "model_name": request.model_name,
        "model_params_memory_gb": found.weights,
        "activation_memory_gb": found.activation,
        "min_kv_cache_memory_gb": found.min_kv,
        "max_kv_cache_memory_gb": found.max_kv,
        "cuda_overhead_gb": found.overhead,
        "total_min_memory_gb": total_min,
        "total_max_memory_gb": total_max,
        "recommended_memory_gb": recommended,
        "warning": warning,
        "components_breakdown": {
            "model_params": found.weights,
            "activation": found.activation,
            "min_kv_cache": found.min_kv,
            "max_kv_cache": found.max_kv,
            "cuda_overhead": found.overhead,
        },
        "architecture_used": architecture_of(shape),
        "unit": unit,
        "formula": request.formula,
    }


def estimate_memory(request: MemoryRequest, load: Callable[[str], ModelShape]) -> dict[str, Any]:
    """The whole response. The engine's own view (`engine_view`) is of the card named in the request.

    Raises:
        PlannerError: unknown or closed model without parameters, or settings that contradict each other.
    """
    shape, flags, notes = _prepared(request, load)
    if request.formula == "2025":
        document = _document(request, shape, _old(request, shape), UNITS["GiB"][1])
        return {**document, "assumptions": notes}
    divisor, unit = UNITS[request.unit]
    answer = estimate(shape, find_gpu(request.gpu), flags)
    document = _document(request, shape, _true(request, answer, divisor), unit)
    return {**document, "assumptions": notes, "engine_view": as_json(answer)}
