"""Bytes of a linear layer's parameters under each weight scheme vLLM loads; what is never quantised stays elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tandem_inference.planner.errors import InvalidValueError
from tandem_inference.planner.units import ceil_div

GROUP = 128
"""Group size of the 4-bit checkpoints in circulation (AWQ, GPTQ, compressed-tensors)."""

Parts = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Scheme:
    """`parts(outputs, inputs, b)` gives the bytes of each parameter of one [outputs, inputs] layer.

    `covers_dense` is False where only the experts shrink (mxfp4). `activation_bytes` is the size of the
    quantised copy of a layer's input that lives beside it, per element (0: none).
    """

    name: str
    parts: Callable[[int, int, int], Parts]
    covers_dense: bool = True
    activation_bytes: int = 0
    since: str = ""
    source: str = ""


def _plain(outputs: int, inputs: int, size: int) -> Parts:
    return (outputs * inputs * size,)


def _awq(outputs: int, inputs: int, size: int) -> Parts:
    groups = ceil_div(inputs, GROUP)
    return (outputs * inputs // 2, groups * outputs * 2, groups * outputs // 2)


def _gptq(outputs: int, inputs: int, size: int) -> Parts:
    return (*_awq(outputs, inputs, size), inputs * 4, inputs * 4)


def _w4a16(outputs: int, inputs: int, size: int) -> Parts:
    return (outputs * inputs // 2, ceil_div(inputs, GROUP) * outputs * 2)


def _gptq_int8(outputs: int, inputs: int, size: int) -> Parts:
    return (outputs * inputs, ceil_div(inputs, GROUP) * outputs * 2)


def _one_byte_per_channel(outputs: int, inputs: int, size: int) -> Parts:
    return (outputs * inputs, outputs * 4)


def _fp8(outputs: int, inputs: int, size: int) -> Parts:
    return (outputs * inputs, 4)


def _fp8_block(outputs: int, inputs: int, size: int) -> Parts:
    return (outputs * inputs, ceil_div(outputs, 128) * ceil_div(inputs, 128) * 4)


def _bitsandbytes(outputs: int, inputs: int, size: int) -> Parts:
    return (outputs * inputs // 2, outputs * inputs // 64 * 4)


def _mxfp4(outputs: int, inputs: int, size: int) -> Parts:
    return (outputs * inputs // 2, outputs * inputs // 32)


def _nvfp4(outputs: int, inputs: int, size: int) -> Parts:
    return (outputs * inputs // 2, outputs * inputs // 16, 8)


SCHEMES: Final[dict[str, Scheme]] = {
    scheme.name: scheme
    for scheme in (
        Scheme("none", _plain, source="dtype x elements"),
        Scheme(
            "awq",
            _awq,
            source="int4 weight, fp16 scale and int4 zero per 128: 0.5195 B (vllm quantization/awq.py)",
        ),
        Scheme(
            "gptq",
            _gptq,
            source="int4 weight, fp16 scale and int4 zero per 128, group and sort indices per input "
            "(vllm quantization/gptq_marlin.py)",
        ),
        Scheme(
            "w4a16",
            _w4a16,
            source="int4 weight, fp16 scale per 128, symmetric: 0.5156 B (compressed-tensors pack-quantized)",
        ),
        Scheme("gptq_int8", _gptq_int8, source="int8 weight, fp16 scale per 128 (vllm gptq_marlin.py)"),
        Scheme(
            "fp8", _fp8, activation_bytes=1, source="1 B, one fp32 scale a layer (vllm quantization/fp8.py)"
        ),
        Scheme(
            "fp8_channel",
            _one_byte_per_channel,
            activation_bytes=1,
            source="1 B, fp32 scale per output channel (compressed-tensors FP8-dynamic)",
        ),
        Scheme(
            "fp8_block",
            _fp8_block,
            activation_bytes=1,
            source="1 B, fp32 scale per 128 x 128 block (vllm quantization/fp8.py, weight_block_size)",
        ),
        Scheme(
            "int8_w8a8",
            _one_byte_per_channel,
            activation_bytes=1,
            source="1 B, fp32 scale per output channel (compressed-tensors w8a8)",
        ),
        Scheme(
            "bitsandbytes",
            _bitsandbytes,
            source="nf4: 0.5 B and fp32 absmax per 64, 0.5625 B: vLLM expands double-quantised statistics",
        ),
        Scheme("bitsandbytes_int8", _one_byte_per_channel, source="int8 weight, fp32 row statistics"),
        Scheme("mxfp4", _mxfp4, covers_dense=False, source="4-bit experts, one scale byte per 32 (gpt-oss)"),
        Scheme("nvfp4", _nvfp4, source="4-bit weight, fp8 scale per 16 (modelopt, compressed-tensors)"),
    )
}

_FLAG_NAMES: Final[dict[str, str]] = {
    "auto_awq": "awq",
    "awq_marlin": "awq",
    "auto_gptq": "gptq",
    "gptq_marlin": "gptq",
    "w8a8": "int8_w8a8",
    "int8": "int8_w8a8",
    "int4": "w4a16",
    "fp8_dynamic": "fp8_channel",
    "fbgemm_fp8": "fp8_channel",
    "modelopt": "fp8",
    "bnb": "bitsandbytes",
}

REMOVED: Final[dict[str, str]] = {
    "aqlm": "awq",
    "deepspeedfp": "fp8",
    "marlin": "gptq",
    "gptq_marlin_24": "gptq",
    "qqq": "gptq",
    "neuron_quant": "fp8",
    "ipex": "awq",
    "tpu_int8": "int8_w8a8",
    "squeezellm": "awq",
    "gguf": "awq",
}
"""Methods vLLM 0.32 no longer has in its core, and the nearest one it has."""


def scheme_for(flag: str | None, declared: str | None) -> Scheme:
    """The scheme in force: the checkpoint's own where it declares one, else the `--quantization` flag's.

    Raises:
        InvalidValueError: the flag is unknown or gone from vLLM, or contradicts the checkpoint.
    """
    if flag is None or flag in ("", "none"):
        return SCHEMES[declared or "none"]
    wanted = _FLAG_NAMES.get(flag, flag)
    if flag in REMOVED:
        raise InvalidValueError(
            f"quantization {flag!r} is no longer part of vLLM; use {REMOVED[flag]!r} instead",
            field="quantization",
        )
    if flag == "compressed-tensors" or wanted == declared:
        if declared is None:
            raise InvalidValueError(
                "quantization 'compressed-tensors' needs a checkpoint that declares it; give one, or name the "
                "scheme: w4a16, int8_w8a8, fp8_channel",
                field="quantization",
            )
        return SCHEMES[declared]
    if wanted not in SCHEMES:
        allowed = ", ".join([*SCHEMES, *_FLAG_NAMES])
        raise InvalidValueError(
            f"quantization must be one of {allowed}; got {flag!r:.60}", field="quantization"
        )
    if declared is not None and _method(declared) != _method(wanted):
        raise InvalidValueError(
            f"the checkpoint is quantised as {declared}, which --quantization {flag} cannot change",
            field="quantization",
        )
    return SCHEMES[declared or wanted]


def _method(name: str) -> str:
    return name.split("_", maxsplit=1)[0]
