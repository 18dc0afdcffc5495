"""Predicts the start-up a row reports, from the row's settings alone; its reported sizes are never looked at."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from tandem_inference.planner.catalogue import shape_of, split_quantization
from tandem_inference.planner.engine import EngineFlags
from tandem_inference.planner.errors import PlannerError
from tandem_inference.planner.estimate import Estimate, estimate
from tandem_inference.planner.gpus import Gpu, find_gpu, unlisted_gpu
from tandem_inference.planner.releases import DEFAULT_VERSION
from tandem_inference.planner.reported.hints import Hints, read_hints
from tandem_inference.planner.reported.rows import Reported
from tandem_inference.planner.shape.model import ModelShape


@dataclass(frozen=True, slots=True)
class Prediction:
    """`estimate` is None when the row cannot be answered, and `skipped` says why."""

    row: Reported
    estimate: Estimate | None
    skipped: str = ""
    remarks: tuple[str, ...] = ()


def _gpu(row: Reported, hints: Hints) -> Gpu:
    """The row's card with the total the log gives, else the table's; a class of cards by its total alone."""
    if row.gpu_total_gib is None and hints.requested_gib and row.gpu_memory_utilization:
        row = replace(row, gpu_total_gib=hints.requested_gib / row.gpu_memory_utilization)
    if row.gpu:
        name = re.sub(r"\(.*?\)|\bx\d+\b|^\d+ ?x |-class", "", row.gpu).strip()
        try:
            gpu = find_gpu(name)
        except PlannerError:
            gpu = None
        if gpu is not None:
            same = row.gpu_total_gib is None or abs(gpu.total_gib - row.gpu_total_gib) < 0.1 * gpu.total_gib
            return replace(gpu, total_gib=row.gpu_total_gib or gpu.total_gib) if same else _by_total(row)
    return _by_total(row)


def _by_total(row: Reported) -> Gpu:
    if row.gpu_total_gib is None or row.gpu_total_gib < 1:
        raise PlannerError(f"card {row.gpu or 'not named'} is not in the table and its total is not given")
    return unlisted_gpu(row.gpu_total_gib, name=row.gpu or "unlisted")


def _version(row: Reported, hints: Hints) -> tuple[str, str]:
    if row.vllm_version:
        return row.vllm_version, ""
    if hints.version:
        return hints.version, f"vLLM version not given; {hints.version} from the notes"
    return DEFAULT_VERSION, f"vLLM version not given; {DEFAULT_VERSION} assumed"


def _shape(row: Reported) -> ModelShape:
    if not row.model:
        raise PlannerError("no model named")
    name = re.sub(r"\s*\(.*", "", row.model).strip()
    return shape_of(name)


def _quantized(row: Reported, shape: ModelShape) -> tuple[ModelShape, str | None]:
    """The shape and the `--quantization` flag of the row.

    A scheme known only from the model's name gives way to the one the row states.
    """
    stated = row.quantization
    if stated is None and "4-bit" in row.notes and shape.quantization is None:
        return shape, "awq"
    if stated in (None, "compressed-tensors"):
        return shape, None
    guessed = split_quantization(shape.name)[1]
    if guessed is not None and guessed == shape.quantization and stated != "fp8":
        return replace(shape, quantization=None), stated
    return shape, None if shape.quantization else stated


def flags_of(row: Reported, hints: Hints, version: str, quantization: str | None) -> EngineFlags:
    return EngineFlags(
        dtype=row.dtype or "auto",
        quantization=quantization,
        kv_cache_dtype=row.kv_cache_dtype or "auto",
        max_model_len=row.max_model_len,
        max_num_seqs=row.max_num_seqs,
        max_num_batched_tokens=row.max_num_batched_tokens,
        gpu_memory_utilization=row.gpu_memory_utilization,
        tensor_parallel=row.tp or 1,
        pipeline_parallel=hints.pipeline_parallel,
        enforce_eager=bool(row.enforce_eager),
        max_loras=hints.max_loras,
        max_lora_rank=hints.max_lora_rank,
        cpu_offload_gib=hints.cpu_offload_gib,
        block_size=hints.block_size,
        vllm_version=version,
        engine=hints.engine,
    )


def predict(row: Reported) -> Prediction:
    """Never raises for a row it cannot answer: the reason is in `skipped`."""
    if row.kv_cache_gib is None and row.weights_gib is None:
        return Prediction(row, None, "reports neither weights nor KV cache")
    if "ANOMALY" in row.notes:
        return Prediction(row, None, "the notes call this run an anomaly")
    return predict_settings(row)


def predict_settings(row: Reported) -> Prediction:
    """As `predict`, for a row that may report no sizes at all (a start that failed)."""
    hints = read_hints(row.source, row.notes)
    version, remark = _version(row, hints)
    try:
        shape, flag = _quantized(row, _shape(row))
        answer = estimate(shape, _gpu(row, hints), flags_of(row, hints, version, flag))
    except PlannerError as error:
        return Prediction(row, None, str(error))
    return Prediction(row, answer, remarks=(remark,) if remark else ())
