"""The command line's grammar: sub-commands and flags, named as vLLM names them; no work is done here."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from tandem_inference.planner.engine import EngineFlags
from tandem_inference.planner.errors import InvalidValueError
from tandem_inference.planner.headroom import PROFILES
from tandem_inference.planner.releases import DEFAULT_VERSION
from tandem_inference.planner.several.declaration import size_in_bytes
from tandem_inference.planner.units import GIB


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text[:40]!r}") from None


def _length(text: str) -> int:
    return -1 if text == "auto" else _whole(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or abs(number) > 10**9:
        raise argparse.ArgumentTypeError(f"expected a number of ordinary size, got {text[:40]!r}")
    return number


def _size(text: str) -> int:
    try:
        return size_in_bytes(text, field="size")
    except InvalidValueError as error:
        raise argparse.ArgumentTypeError(error.message) from None


def _add_card(parser: argparse.ArgumentParser, *, default: str | None = "L4") -> None:
    parser.add_argument("--gpu", default=default, help=f"card, see tandem-plan gpus (default {default})")
    parser.add_argument(
        "--gpu-total-gib",
        type=_number,
        help="the card's total as CUDA reports it, for a card not in the table",
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def _add_estimate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="catalogue name, hub id, or path of a config.json or of its folder")
    _add_card(parser)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--quantization", "-q")
    parser.add_argument("--kv-cache-dtype", default="auto")
    parser.add_argument("--max-model-len", type=_length, help="tokens, or auto for the longest that fits")
    parser.add_argument("--max-num-seqs", type=_whole)
    parser.add_argument("--max-num-batched-tokens", type=_whole)
    parser.add_argument("--gpu-memory-utilization", type=_number)
    parser.add_argument("--kv-cache-memory-bytes", type=_size, help="bytes, or a size such as 4GiB")
    parser.add_argument("--tensor-parallel-size", "-tp", type=_whole, default=1)
    parser.add_argument("--pipeline-parallel-size", "-pp", type=_whole, default=1)
    parser.add_argument("--max-loras", type=_whole, default=0)
    parser.add_argument("--max-lora-rank", type=_whole, default=16)
    parser.add_argument("--cpu-offload-gb", type=_number, default=0.0)
    parser.add_argument("--block-size", type=_whole)
    parser.add_argument("--enforce-eager", action="store_true")
    parser.add_argument(
        "--cold-start", action="store_true", help="the first start, with an empty compile cache"
    )
    parser.add_argument("--memory-in-use-gib", type=_number, default=0.0, help="what other processes hold")
    parser.add_argument(
        "--params-billions",
        type=_number,
        help="plan a plain decoder of this size when the model is not known",
    )
    parser.add_argument("--vllm-version", default=DEFAULT_VERSION)
    parser.add_argument("--offline", action="store_true", help="never ask the hub for an unknown model")
    _add_json(parser)


def flags_from(words: argparse.Namespace) -> EngineFlags:
    return EngineFlags(
        dtype=words.dtype,
        quantization=words.quantization,
        kv_cache_dtype=words.kv_cache_dtype,
        max_model_len=words.max_model_len,
        max_num_seqs=words.max_num_seqs,
        max_num_batched_tokens=words.max_num_batched_tokens,
        gpu_memory_utilization=words.gpu_memory_utilization,
        kv_cache_memory_bytes=words.kv_cache_memory_bytes,
        tensor_parallel=words.tensor_parallel_size,
        pipeline_parallel=words.pipeline_parallel_size,
        enforce_eager=words.enforce_eager,
        max_loras=words.max_loras,
        max_lora_rank=words.max_lora_rank,
        cpu_offload_gib=words.cpu_offload_gb,
        block_size=words.block_size,
        cold_start=words.cold_start,
        memory_in_use_bytes=round(words.memory_in_use_gib * GIB),
        vllm_version=words.vllm_version,
    )


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tandem-plan", description="Plans the GPU memory of vLLM engines: no GPU and no vLLM needed."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_estimate(commands.add_parser("estimate", help="what one engine takes on one card"))

    plan = commands.add_parser("plan", help="shares and start order for the engines of a file")
    plan.add_argument("file", type=Path, help="engines.yaml")
    _add_card(plan)
    plan.add_argument("--profile", choices=list(PROFILES), default="balanced")
    plan.add_argument("--memory-in-use-gib", type=_number, default=0.0)
    plan.add_argument("--vllm-version", default=DEFAULT_VERSION)
    plan.add_argument("--offline", action="store_true")
    _add_json(plan)

    compare = commands.add_parser("compare", help="predicted beside reported, from a vLLM log or a CSV")
    compare.add_argument("file", type=Path, help="a start-up log, or a CSV with the shared columns")
    _add_card(compare, default=None)
    _add_json(compare)

    doctor = commands.add_parser("doctor", help="explain a failing start from its log")
    doctor.add_argument("file", type=Path, help="the log; - reads standard input")
    _add_card(doctor, default=None)
    _add_json(doctor)

    for name, text in (("gpus", "the cards the planner knows"), ("models", "the models of the catalogue")):
        _add_json(commands.add_parser(name, help=text))

    serve = commands.add_parser("serve", help="the HTTP API and the page, without the inference service")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=_whole, default=8820)
    return parser
