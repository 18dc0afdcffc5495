"""An engine's flags as the planner sees them: checked, completed with vLLM's defaults, frozen."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tandem_inference.planner.dtypes import kv_dtype, model_dtype
from tandem_inference.planner.errors import InvalidValueError
from tandem_inference.planner.gpus import Gpu
from tandem_inference.planner.lora import RANKS
from tandem_inference.planner.quantization import Scheme, scheme_for
from tandem_inference.planner.releases import DEFAULT_VERSION, Engine, Rules, rules_for
from tandem_inference.planner.shape.model import ModelShape

LONGEST = 10**8
"""No served context is longer; a larger number is a mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFlags:
    """The `vllm serve` flags that decide memory; None means vLLM's default for the card and model.

    `memory_in_use_bytes` is what other processes hold on the card when the engine starts.
    `max_model_len` -1 asks for the longest context that fits (`--max-model-len auto`).
    """

    dtype: str = "auto"
    quantization: str | None = None
    kv_cache_dtype: str = "auto"
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    gpu_memory_utilization: float | None = None
    kv_cache_memory_bytes: int | None = None
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    enforce_eager: bool = False
    max_loras: int = 0
    max_lora_rank: int = 16
    cpu_offload_gib: float = 0.0
    block_size: int | None = None
    vllm_version: str = DEFAULT_VERSION
    engine: Engine | None = None
    cold_start: bool = False
    memory_in_use_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedEngine:
    """Flags resolved against a model, a card and a vLLM release."""

    shape: ModelShape
    gpu: Gpu
    flags: EngineFlags
    rules: Rules
    scheme: Scheme
    dtype: str
    kv_dtype: str
    max_model_len: int
    rows: int
    tokens: int
    utilization: float
    block_tokens: int
    fits_length: bool


def _whole(name: str, value: int | None, least: int, most: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidValueError(
            f"{name} must be a whole number between {least} and {most}; got {value!r:.60}", field=name
        )


def _share(name: str, value: float | None) -> None:
    if value is None:
        return
    wrong = isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)
    if wrong or not 0 < value <= 1:
        raise InvalidValueError(f"{name} must be greater than 0 and at most 1; got {value!r:.60}", field=name)


def check_flags(flags: EngineFlags) -> None:
    """Raises `InvalidValueError`, naming the first flag that vLLM would not take."""
    if flags.max_model_len != -1:
        _whole("max_model_len", flags.max_model_len, 1, LONGEST)
    _whole("max_num_seqs", flags.max_num_seqs, 1, 10**6)
    _whole("max_num_batched_tokens", flags.max_num_batched_tokens, 1, 10**7)
    _whole("kv_cache_memory_bytes", flags.kv_cache_memory_bytes, 1, 10**14)
    _whole("tensor_parallel", flags.tensor_parallel, 1, 64)
    _whole("pipeline_parallel", flags.pipeline_parallel, 1, 64)
    _whole("max_loras", flags.max_loras, 0, 1024)
    _whole("memory_in_use_bytes", flags.memory_in_use_bytes, 0, 10**14)
    _share("gpu_memory_utilization", flags.gpu_memory_utilization)
    offload = flags.cpu_offload_gib
    if not isinstance(offload, int | float) or not math.isfinite(offload) or not 0 <= offload <= 10**5:
        raise InvalidValueError(
            f"cpu_offload_gib must be between 0 and 100000; got {offload!r:.60}", field="cpu_offload_gib"
        )
    if flags.max_loras and flags.max_lora_rank not in RANKS:
        allowed = ", ".join(str(rank) for rank in RANKS)
        raise InvalidValueError(
            f"max_lora_rank must be one of {allowed}; got {flags.max_lora_rank!r:.60}", field="max_lora_rank"
        )
    if flags.block_size is not None:
        _whole("block_size", flags.block_size, 16, 4096)
        if flags.block_size % 16:
            raise InvalidValueError(
                f"block_size must be a multiple of 16 (no attention backend takes {flags.block_size}); omit it",
                field="block_size",
            )


def default_batch(gpu: Gpu) -> tuple[int, int]:
    """`(max_num_seqs, max_num_batched_tokens)` of `vllm serve` on this card.

    Source: vllm/engine/arg_utils.py, get_batch_defaults: 256 and 2048; from 70 GiB on 1024 and 8192, but
    not on an A100; from 160 GiB on 1024 and 16384.
    """
    if gpu.total_gib >= 160:
        return 1024, 16384
    if gpu.total_gib >= 70 and not gpu.id.startswith("A100"):
        return 1024, 8192
    return 256, 2048


def _v0_batch(flags: EngineFlags, length: int) -> tuple[int, int]:
    """V0 profiled a whole prompt unless it was longer than 32768, when prefills were chunked by 2048."""
    tokens = 2048 if length > 32768 else max(length, 2048)
    return flags.max_num_seqs or 256, flags.max_num_batched_tokens or tokens


def _batch(flags: EngineFlags, gpu: Gpu, rules: Rules, length: int) -> tuple[int, int]:
    if rules.engine == "V0":
        rows, tokens = _v0_batch(flags, length)
    else:
        default_rows, default_tokens = default_batch(gpu)
        rows = flags.max_num_seqs or default_rows
        tokens = flags.max_num_batched_tokens or default_tokens
        if flags.max_num_batched_tokens is None:
            tokens = min(max(tokens, rows), rows * length)
    return min(rows, tokens), tokens


def resolve(shape: ModelShape, gpu: Gpu, flags: EngineFlags) -> ResolvedEngine:
    """Completes the flags as vLLM would.

    Raises:
        InvalidValueError: a flag is wrong, or this card cannot run this dtype.
    """
    check_flags(flags)
    rules = rules_for(
        flags.vllm_version,
        dense=not (shape.is_moe or shape.is_hybrid),
        capability=gpu.capability,
        engine=flags.engine,
    )
    dtype = model_dtype(flags.dtype, declared=shape.dtype)
    if dtype == "bfloat16" and gpu.capability < 8.0:
        if flags.dtype != "auto":
            raise InvalidValueError(
                f"bfloat16 needs compute capability 8.0; the {gpu.id} has {gpu.capability}. Use --dtype half",
                field="dtype",
            )
        dtype = "float16"
    fits = flags.max_model_len == -1
    given = flags.max_model_len
    length = shape.max_position if given is None or given == -1 else given
    rows, tokens = _batch(flags, gpu, rules, length)
    if shape.layers < flags.pipeline_parallel:
        raise InvalidValueError(
            f"pipeline_parallel {flags.pipeline_parallel} exceeds the model's {shape.layers} layers",
            field="pipeline_parallel",
        )
    _check_heads(shape, flags.tensor_parallel)
    return ResolvedEngine(
        shape=shape,
        gpu=gpu,
        flags=flags,
        rules=rules,
        scheme=scheme_for(flags.quantization, shape.quantization),
        dtype=dtype,
        kv_dtype=kv_dtype(flags.kv_cache_dtype, model=dtype),
        max_model_len=length,
        rows=rows,
        tokens=tokens,
        utilization=flags.gpu_memory_utilization or rules.default_utilization,
        block_tokens=flags.block_size or 16,
        fits_length=fits,
    )


def _check_heads(shape: ModelShape, ways: int) -> None:
    for block in shape.blocks:
        if block.attention.heads % ways:
            raise InvalidValueError(
                f"tensor_parallel {ways} does not divide the model's {block.attention.heads} attention heads",
                field="tensor_parallel",
            )
