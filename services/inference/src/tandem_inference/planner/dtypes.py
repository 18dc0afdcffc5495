"""Bytes per element of the number formats vLLM accepts for weights, activations and the KV cache."""

from __future__ import annotations

from typing import Final

from tandem_inference.planner.errors import InvalidValueError

MODEL_DTYPES: Final[dict[str, int]] = {
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
}
"""What `--dtype` may resolve to; `half` and `float` are vLLM's own aliases, see `model_dtype`."""

_ALIASES: Final = {
    "half": "float16",
    "float": "float32",
    "fp16": "float16",
    "bf16": "bfloat16",
    "fp32": "float32",
}

KV_DTYPES: Final[dict[str, float]] = {
    "fp8": 1.0,
    "fp8_e4m3": 1.0,
    "fp8_e5m2": 1.0,
    "fp8_inc": 1.0,
    "int8_per_token_head": 1.0,
    "fp8_per_token_head": 1.0,
    "int4_per_token_head": 0.5,
    "float16": 2.0,
    "bfloat16": 2.0,
    "float32": 4.0,
}
"""Bytes per cached element; the per-token-head kinds add scales, see `kv.pages`."""


def model_dtype(name: str, *, declared: str) -> str:
    """The dtype vLLM computes in for `--dtype NAME` and the one the config declares.

    `auto` keeps a 16-bit declaration and turns float32 into float16 (vLLM config/model.py,
    `_get_and_verify_dtype`).
    """
    wanted = _ALIASES.get(name, name)
    if wanted == "auto":
        return "float16" if declared == "float32" else declared
    if wanted not in MODEL_DTYPES:
        allowed = ", ".join(["auto", *MODEL_DTYPES])
        raise InvalidValueError(f"dtype must be one of {allowed}; got {name!r}", field="dtype")
    return wanted


def kv_dtype(name: str, *, model: str) -> str:
    """The KV cache's format for `--kv-cache-dtype NAME`; `auto` follows the model's dtype."""
    wanted = _ALIASES.get(name, name)
    if wanted == "auto":
        return model
    if wanted not in KV_DTYPES:
        allowed = ", ".join(["auto", *KV_DTYPES])
        raise InvalidValueError(
            f"kv_cache_dtype must be one of {allowed}; got {name!r}", field="kv_cache_dtype"
        )
    return wanted
