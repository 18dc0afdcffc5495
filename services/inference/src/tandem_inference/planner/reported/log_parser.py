"""Reads a vLLM start-up log, of any release from 0.5 on, into the row of numbers and settings it reports."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from tandem_inference.planner.reported.rows import Reported

LARGEST_LOG = 20_000_000
"""Characters read of a log; start-up lines stand at its beginning."""

_FLOAT = r"(-?\d+(?:\.\d+)?)"
_PATTERNS: Final[dict[str, tuple[str, ...]]] = {
    "vllm_version": (
        r"LLM engine \(v(\d+\.\d+[^)\s]*)\)",
        r"API server version:? v?(\d+\.\d+\S*)",
        r"vLLM version:? v?(\d+\.\d+\S*)",
    ),
    "model": (
        r"with config: model='([^']+)'",
        r"'model(?:_tag)?': '([^']+)'",
        r"Starting to load model (\S+?)\.\.\.",
    ),
    "dtype": (r"[ ,(]dtype=(?:torch\.)?(float16|bfloat16|float32)", r"'dtype': '(\w+)'"),
    "quantization": (r"[ ,(]quantization=([\w-]+)", r"'quantization': '([\w-]+)'"),
    "kv_cache_dtype": (r"[ ,(]kv_cache_dtype=([\w-]+)", r"'kv_cache_dtype': '([\w-]+)'"),
    "tp": (r"[ ,(]tensor_parallel_size=(\d+)", r"'tensor_parallel_size': (\d+)"),
    "max_model_len": (r"[ ,(]max_seq_len=(\d+)", r"'max_model_len': (\d+)", r"Using max model len (\d+)"),
    "max_num_seqs": (r"'max_num_seqs': (\d+)", r"[ ,(]max_num_seqs=(\d+)"),
    "max_num_batched_tokens": (
        r"max_num_batched_tokens=(\d+)",
        r"'max_num_batched_tokens': (\d+)",
    ),
    "gpu_memory_utilization": (
        rf"'gpu_memory_utilization': {_FLOAT}",
        rf"gpu_memory_utilization \({_FLOAT}\)",
        rf"desired GPU memory utilization \({_FLOAT},",
        rf"Requested memory: {_FLOAT} \(util\)",
        rf"The current --gpu-memory-utilization={_FLOAT}",
    ),
    "gpu_total_gib": (
        rf"total_gpu_memory \({_FLOAT} ?GiB\)",
        r"on device \S+ \([\d.]+/(\d+(?:\.\d+)?) GiB\)",
    ),
    "gpu": (r"(?:GPU|Device|device_name)[ :=]+'?(NVIDIA [^',\n]+)", r"device_name=([A-Za-z0-9_-]+)\.json"),
    "weights_gib": (
        rf"Model loading took {_FLOAT} ?Gi?B",
        rf"Loading model weights took {_FLOAT} ?Gi?B",
        rf"model weights take {_FLOAT} ?GiB",
    ),
    "activation_gib": (
        rf"PyTorch activation peak memory takes {_FLOAT} ?GiB",
        rf"torch peak memory increase: {_FLOAT} ?GiB",
        rf"peak activation memory[^\d]{{0,40}}{_FLOAT} ?GiB",
    ),
    "non_torch_gib": (
        rf"non_torch_memory takes {_FLOAT} ?GiB",
        rf"non-torch forward increase memory: {_FLOAT} ?GiB",
    ),
    "cudagraph_gib": (rf"Graph capturing finished in .{{1,20}}took {_FLOAT} GiB",),
    "kv_cache_gib": (
        rf"Available KV cache memory: {_FLOAT} GiB",
        rf"reserved for KV Cache is {_FLOAT} ?GiB",
        r"reserved (\d+(?:\.\d+)?) GiB memory for KV Cache as specified",
    ),
    "kv_cache_tokens": (r"KV cache size: ([\d,]+) tokens",),
}
_WHOLE: Final = {"tp", "max_model_len", "max_num_seqs", "max_num_batched_tokens", "kv_cache_tokens"}
_WORDS: Final = {"vllm_version", "model", "dtype", "quantization", "kv_cache_dtype", "gpu"}
FAILURES: Final = (
    "No available memory for the cache blocks",
    "is larger than the available KV cache memory",
    "is larger than the maximum number of tokens that can be stored in KV cache",
    "is less than desired GPU memory utilization",
    "CUDA out of memory",
    "EngineCore failed to start",
    "Engine core initialization failed",
)


@dataclass(frozen=True, slots=True)
class ParsedLog:
    """The row and what only a log says."""

    row: Reported
    concurrency: float | None
    graph_estimate_gib: float | None
    failed: bool


def _first(patterns: tuple[str, ...], text: str) -> str | None:
    for pattern in patterns:
        match = re.search(pattern, text)
        if match:
            return match[1]
    return None


def _decimal(patterns: tuple[str, ...], text: str) -> float | None:
    found = _first(patterns, text)
    return float(found) if found is not None else None


def _notes(text: str, *, failed: bool) -> str:
    parts = []
    pipeline = _first((r"pipeline_parallel_size=(\d+)", r"'pipeline_parallel_size': (\d+)"), text)
    if pipeline and pipeline != "1":
        parts.append(f"pp={pipeline}")
    if "'enable_lora': True" in text:
        slots = _first((r"'max_loras': (\d+)",), text) or "1"
        rank = _first((r"'max_lora_rank': (\d+)",), text) or "16"
        parts.append(f"--enable-lora max_loras={slots} max_lora_rank={rank}")
    block = _first((r"'block_size': (\d+)",), text)
    if block:
        parts.append(f"--block-size {block}")
    requested = _first((r"Requested memory: [\d.]+ \(util\), ([\d.]+) GiB",), text)
    if requested:
        parts.append(f"requested memory {requested} GiB")
    if "V0 LLM engine" in text or "non_torch_memory takes" in text:
        parts.append("V0 engine")
    if failed:
        parts.append("start fails")
    return "; ".join(parts)


def _converted(name: str, found: str) -> Any:
    if name in _WHOLE:
        return int(found.replace(",", ""))
    return found if name in _WORDS else float(found)


def parse_log(text: str, *, source: str = "log") -> ParsedLog:
    """What the log says; fields it does not mention stay None. Never raises, whatever the text."""
    text = text[:LARGEST_LOG]
    values: dict[str, Any] = {}
    for name, patterns in _PATTERNS.items():
        found = _first(patterns, text)
        if found is not None and found != "None" and len(found) < 300:
            values[name] = _converted(name, found)
    eager = _first((r"enforce_eager=(True|False)", r"'enforce_eager': (True|False)"), text)
    failed = any(mark in text for mark in FAILURES)
    row = Reported(
        source=source,
        enforce_eager=None if eager is None else eager == "True",
        notes=_notes(text, failed=failed),
        **values,
    )
    return ParsedLog(
        row=row,
        concurrency=_decimal((r"Maximum concurrency for [\d,]+ tokens per request: ([\d.]+)x",), text),
        graph_estimate_gib=_decimal((r"Estimated CUDA graph memory: ([\d.]+) GiB",), text),
        failed=failed,
    )
