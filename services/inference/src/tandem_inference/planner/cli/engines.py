"""The commands `estimate` and `plan`: planning what is about to be started."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from tandem_inference.planner.answer import as_json
from tandem_inference.planner.cli.tables import Cell, table
from tandem_inference.planner.cli.words import flags_from
from tandem_inference.planner.errors import ClosedModelError, InvalidValueError, UnknownModelError
from tandem_inference.planner.estimate import estimate
from tandem_inference.planner.gpus import Gpu, find_gpu, unlisted_gpu
from tandem_inference.planner.published.guessing import guess_shape
from tandem_inference.planner.several.declaration import read_engines_file
from tandem_inference.planner.several.faces import plan_engines, wanted_engines
from tandem_inference.planner.shape.model import ModelShape
from tandem_inference.planner.sources import load_shape
from tandem_inference.planner.units import GIB

Answer = tuple[dict[str, Any], str, bool]
"""JSON, text for a terminal, and whether all is well."""


def card(words: argparse.Namespace) -> Gpu:
    """The card named on the command line.

    Raises:
        InvalidValueError: not in the table, or a total no card has.
    """
    total = words.gpu_total_gib
    if total is None:
        return find_gpu(words.gpu)
    if not 1 <= total <= 2000:
        raise InvalidValueError(
            f"--gpu-total-gib must be between 1 and 2000; got {total:g}", field="gpu_total_gib"
        )
    return unlisted_gpu(total, name=words.gpu or "unlisted")


def terms_table(found: dict[str, Any]) -> str:
    rows: list[list[Cell]] = [
        [term["name"], term["gib"], f"{term['low_gib']:.2f} to {term['high_gib']:.2f}", term["formula"]]
        for term in found["terms"]
        if term["high_gib"] != 0
    ]
    return table(("term", "GiB", "between", "how"), rows)


def _headline(found: dict[str, Any]) -> str:
    kv, card_ = found["kv"], found["card"]
    sure = "" if found["certain"] else " (close to the limit: the interval covers both)"
    if not found["starts"]:
        return f"does not start: {found['gate']['message']}"
    return (
        f"starts{sure}: KV cache {kv['available_gib']:.2f} GiB, {kv['tokens']:,} tokens, "
        f"{kv['concurrency']:.2f} requests of {found['settings']['max_model_len']:,} tokens at once; "
        f"the card shows about {card_['resident_gib']:.1f} of {card_['total_gib']:.2f} GiB"
    )


def _shares_lines(found: dict[str, Any]) -> list[str]:
    shares = found["shares"]
    if shares["least_gpu_memory_utilization"] is None:
        return ["no share of this card starts it"]
    return [
        (
            f"least       --gpu-memory-utilization {shares['least_gpu_memory_utilization']:g}"
            f"  or --kv-cache-memory-bytes {shares['least_kv_cache_memory_bytes']}"
        ),
        (
            f"recommended --gpu-memory-utilization {shares['recommended_gpu_memory_utilization']:g}"
            f"  or --kv-cache-memory-bytes {shares['recommended_kv_cache_memory_bytes']}"
        ),
    ]


def estimate_text(found: dict[str, Any]) -> str:
    speed = found["speed"]
    lines = [
        f"{found['model']} on {found['gpu']}, vLLM {found['vllm_version']} ({found['engine']})",
        _headline(found),
        "",
        terms_table(found),
        "",
        *_shares_lines(found),
        (
            f"at most {speed['decode_tokens_per_s_alone_at_most']:g} tokens/s for one request, "
            f"{speed['decode_tokens_per_s_batch_at_most']:g} for {speed['batch']}, "
            f"{speed['prefill_tokens_per_s_at_most']:g} read (bounds, not forecasts)"
        ),
        *(f"would start: {one['change']} -> {one['kv_tokens']:,} tokens" for one in found["suggestions"]),
        *(f"assumed: {note}" for note in found["assumptions"]),
        *(f"note: {note}" for note in found["notes"]),
    ]
    return "\n".join(lines)


def _shape(words: argparse.Namespace) -> ModelShape:
    """The model's shape; for one that is not known, a plain decoder of `--params-billions`."""
    try:
        return load_shape(words.model, hub=not words.offline and words.params_billions is None)
    except (UnknownModelError, ClosedModelError) as error:
        if words.params_billions is None:
            raise type(error)(f"{error.message} (here: --params-billions)", field=error.field) from error
        if not 0 < words.params_billions <= 10**5:
            raise InvalidValueError(
                "--params-billions must be above 0 and at most 100000", field="params_billions"
            ) from error
    return guess_shape(words.model, words.params_billions, max_position=max(4096, words.max_model_len or 0))


def estimate_command(words: argparse.Namespace) -> Answer:
    shape = _shape(words)
    found = as_json(estimate(shape, card(words), flags_from(words)))
    return found, estimate_text(found), found["starts"]


def plan_text(found: dict[str, Any]) -> str:
    rows: list[list[Cell]] = [
        [
            one["start_position"],
            one["name"],
            f"{one['gpu_memory_utilization']:g}",
            one["estimate"]["kv"]["available_gib"],
            one["estimate"]["kv"]["tokens"],
            f"{one['estimate']['kv']['concurrency']:.1f}x",
            one["free_before_gib"],
            "yes" if one["starts"] else "NO",
        ]
        for one in found["engines"]
    ]
    header = ("start", "engine", "share", "KV GiB", "KV tokens", "at once", "free before", "starts")
    verdict = (
        f"fits, shares sum to {found['sum_of_shares']:g}"
        if found["fits"]
        else f"does not fit: {found['refusal']}"
    )
    return "\n".join(
        [
            f"{found['gpu']} ({found['total_gib']:g} GiB), {found['profile']} profile: {verdict}",
            "",
            table(header, rows),
            "",
            *(one["command"] for one in found["engines"] if found["fits"]),
            *(f"would fit: {one['change']}" for one in found["suggestions"]),
        ]
    )


def plan_command(words: argparse.Namespace) -> Answer:
    views = read_engines_file(words.file)
    load = partial(load_shape, folder=words.file.parent, hub=not words.offline)
    wanted = wanted_engines(views, load, vllm_version=words.vllm_version)
    in_use = round(max(0.0, words.memory_in_use_gib) * GIB)
    _, found = plan_engines(wanted, card(words), profile=words.profile, in_use=in_use)
    return found, plan_text(found), found["fits"]
