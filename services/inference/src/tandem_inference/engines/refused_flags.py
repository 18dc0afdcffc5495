"""Which flags and values the engines' file may not hold, because vLLM dropped them or a field decides; and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from typing import Any, Final

import yaml

_PORT = "TANDEM_INFERENCE_ENGINE_FIRST_PORT"
_FIELDS: Final = {
    "--chat-template": "chat_template",
    "--cpu-offload-gb": "cpu_offload_gb",
    "--device-memory-utilization": "gpu_memory_utilization",
    "--dtype": "dtype",
    "--enable-lora": "adapters",
    "--enable-prefix-caching": "enable_prefix_caching",
    "--enable-sleep-mode": "on_demand",
    "--enforce-eager": "enforce_eager",
    "--gpu-memory-utilization": "gpu_memory_utilization",
    "--kv-cache-dtype": "kv_cache_dtype",
    "--kv-cache-memory-bytes": "kv_cache_bytes",
    "--load-format": "load_format",
    "--lora-modules": "adapters",
    "--max-cpu-loras": "max_loras",
    "--max-lora-rank": "max_lora_rank",
    "--max-loras": "max_loras",
    "--max-model-len": "max_model_len",
    "--max-num-batched-tokens": "max_num_batched_tokens",
    "--max-num-seqs": "max_num_seqs",
    "--model": "model",
    "--no-enable-lora": "adapters",
    "--no-enable-prefix-caching": "enable_prefix_caching",
    "--no-enforce-eager": "enforce_eager",
    "--pipeline-parallel-size": "pipeline_parallel_size",
    "--quantization": "quantization",
    "--revision": "revision",
    "--served-model-name": "served_model_name",
    "--tensor-parallel-size": "tensor_parallel_size",
    "--tokenizer": "tokenizer",
    "-pp": "pipeline_parallel_size",
    "-q": "quantization",
    "-tp": "tensor_parallel_size",
}
_RESERVED: Final = {flag: f"the field {field}" for flag, field in _FIELDS.items()} | {
    "--api-key": "TANDEM_INFERENCE_SERVICE_TOKEN",
    "--config": "this file: one place declares the engine",
    "--host": "nothing: engines listen on loopback only",
    "--port": _PORT,
    "--scheduling-policy": "nothing: requests are scheduled by class",
    "--uds": "nothing: engines listen on loopback only",
}


@dataclass(frozen=True)
class Gone:
    """One flag, or some values of a field, that vLLM no longer takes."""

    flag: str = ""
    values: tuple[str, ...] = ()
    multiples_of: int | None = None
    plugin: str | None = None
    reason: str = ""
    instead: str = ""

    def sentence(self, what: str) -> str:
        plugin = f", or install {self.plugin} beside vLLM" if self.plugin else ""
        return f"{what} cannot be used: {self.reason}; {self.instead}{plugin}"


def refuse_arguments(arguments: Sequence[str]) -> None:
    """Raise ValueError naming the first of `arguments` that may not be given, why, and what to write instead."""
    for position, argument in enumerate(arguments):
        if not argument.startswith("-"):
            continue
        flag, _, value = argument.partition("=")
        flag = flag.replace("_", "-")
        following = arguments[position + 1] if position + 1 < len(arguments) else ""
        if sentence := gone_flag(flag, value or following):
            raise ValueError(sentence)
        if meant := _reserved_flag(flag):
            raise ValueError(f"{flag} cannot be given here; use {_RESERVED[meant]}")


def gone_flag(flag: str, value: Any) -> str | None:
    """The sentence to refuse `flag` with its `value`, None when vLLM takes it."""
    for gone in _table()["flags"]:
        if gone.flag == flag and not (gone.multiples_of and _is_multiple(value, gone.multiples_of)):
            return gone.sentence(flag)
    return None


def known_value(field: str, value: str, known: Sequence[str]) -> str:
    """Return `value`; raise ValueError with the reason or the known values when vLLM does not take it for `field`."""
    for gone in _table()[field]:
        if value in gone.values:
            if gone.plugin and _is_installed(gone.plugin):
                return value
            raise ValueError(gone.sentence(repr(value)))
    if value not in known:
        raise ValueError(f"vLLM does not know {value[:60]!r}; expected one of {', '.join(known)}")
    return value


def _reserved_flag(flag: str) -> str | None:
    """The reserved flag that vLLM would take `flag` for: it accepts every beginning that is not ambiguous."""
    if flag in _RESERVED:
        return flag
    if not flag.startswith("--") or len(flag) < 4:
        return None
    return next((reserved for reserved in _RESERVED if reserved.startswith(flag)), None)


def _is_multiple(value: Any, of: int) -> bool:
    try:
        return int(value) > 0 and int(value) % of == 0
    except (TypeError, ValueError):
        return False


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


@cache
def _table() -> dict[str, tuple[Gone, ...]]:
    text = (files("tandem_inference.engines") / "data" / "gone_flags.yaml").read_text(encoding="utf-8")
    sections: dict[str, list[dict[str, Any]]] = yaml.safe_load(text)
    return {
        name: tuple(Gone(**(row | {"values": tuple(row.get("values", ()))})) for row in rows)
        for name, rows in sections.items()
    } | {"kv_cache_dtype": ()}
