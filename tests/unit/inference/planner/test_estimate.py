"""One engine on one card: the users' own cases, the two gates, the shares that start."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from tandem_inference.planner import EngineFlags, InvalidValueError, estimate, find_gpu, shape_of
from tandem_inference.planner.advice import at_share, shares
from tandem_inference.planner.answer import as_json
from tandem_inference.planner.engine import check_flags
from tests.unit.inference.planner.builders import in_gib, planned

MISTRAL = "mistralai/Mistral-7B-Instruct-v0.3"


@pytest.mark.parametrize(("share", "length"), [(0.5, 32768), (0.6, 8192), (0.5, 2048)])
def test_mistral_on_an_l4_fails_where_the_users_saw_it_fail(share: float, length: int) -> None:
    answer = planned(MISTRAL, gpu_memory_utilization=share, max_model_len=length)
    assert not answer.starts
    assert "No available memory for the cache blocks" in answer.gates[1].message


def test_mistral_on_an_l4_starts_at_seven_tenths_and_fills_about_16_gib() -> None:
    answer = planned(MISTRAL, gpu_memory_utilization=0.7, max_model_len=2048)
    assert answer.starts
    assert 0.8 <= in_gib(answer.kv.likely) <= 1.2
    assert in_gib(answer.resident.likely) == pytest.approx(15.8, abs=0.6)


def test_no_l4_starts_with_the_whole_card() -> None:
    answer = planned(MISTRAL, gpu_memory_utilization=1.0, max_model_len=2048)
    assert not answer.gates[0].passes
    assert (
        "Free memory on device cuda:0 (21.84/22.03 GiB) on startup is less than desired"
        in answer.gates[0].message
    )


def test_memory_in_use_counts_against_the_free_memory_gate_only() -> None:
    alone = planned(MISTRAL, gpu_memory_utilization=0.8, max_model_len=2048)
    beside = planned(MISTRAL, gpu_memory_utilization=0.8, max_model_len=2048, memory_in_use_bytes=5 * 2**30)
    assert alone.starts
    assert not beside.starts
    assert alone.kv == beside.kv


def test_a_context_that_does_not_fit_names_the_longest_that_does() -> None:
    answer = planned("meta-llama/Llama-3.1-8B", gpu_memory_utilization=0.9, max_model_len=131072)
    message = answer.gates[1].message
    assert "max seq len (131072)" in message
    longest = int(message.split("estimated maximum model length is ")[1].split(".")[0])
    assert planned("meta-llama/Llama-3.1-8B", gpu_memory_utilization=0.9, max_model_len=longest).starts
    assert not planned(
        "meta-llama/Llama-3.1-8B", gpu_memory_utilization=0.9, max_model_len=longest + 32
    ).starts


def test_auto_length_takes_the_longest_that_fits() -> None:
    answer = planned("meta-llama/Llama-3.1-8B", gpu_memory_utilization=0.9, max_model_len=-1)
    assert answer.starts
    assert 2048 < answer.max_model_len < 131072


def test_the_least_share_starts_and_a_little_less_does_not() -> None:
    answer = planned(MISTRAL, gpu_memory_utilization=0.9, max_model_len=8192)
    least = shares(answer).least_utilization
    assert least is not None
    assert 0.70 <= least <= 0.72
    assert at_share(answer, least).starts
    assert not at_share(answer, least - 0.003).starts


def test_given_cache_bytes_are_the_cache_and_still_pass_the_free_memory_gate() -> None:
    answer = planned(MISTRAL, kv_cache_memory_bytes=2 * 2**30, gpu_memory_utilization=0.3, max_model_len=8192)
    assert answer.kv.low == answer.kv.high == 2 * 2**30
    assert answer.starts
    greedy = planned(MISTRAL, kv_cache_memory_bytes=2 * 2**30, gpu_memory_utilization=1.0, max_model_len=8192)
    assert not greedy.starts


def test_lora_slots_and_offload_move_the_cache() -> None:
    plain = planned("Qwen/Qwen3-4B", max_model_len=4096)
    slots = planned("Qwen/Qwen3-4B", max_model_len=4096, max_loras=16)
    offload = planned("Qwen/Qwen3-4B", max_model_len=4096, cpu_offload_gib=4)
    assert in_gib(slots.parts.loaded.likely - plain.parts.loaded.likely) == pytest.approx(
        16 * 0.0753, rel=0.05
    )
    assert in_gib(offload.kv.likely - plain.kv.likely) == pytest.approx(4.0, abs=0.01)


def test_a_t4_computes_in_half_precision_and_says_why_not_bfloat16() -> None:
    assert planned("Qwen/Qwen2.5-1.5B-Instruct", "T4", max_model_len=2048).engine.dtype == "float16"
    with pytest.raises(InvalidValueError, match=r"8\.0"):
        planned("Qwen/Qwen2.5-1.5B-Instruct", "T4", dtype="bfloat16")


def test_batch_defaults_depend_on_the_card() -> None:
    assert (planned(MISTRAL, "L4").engine.rows, planned(MISTRAL, "L4").engine.tokens) == (256, 2048)
    assert (planned(MISTRAL, "H100").engine.rows, planned(MISTRAL, "H100").engine.tokens) == (1024, 8192)
    assert planned(MISTRAL, "A100-80GB").engine.rows == 256


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gpu_memory_utilization", 0.0),
        ("gpu_memory_utilization", 1.01),
        ("gpu_memory_utilization", math.nan),
        ("gpu_memory_utilization", -0.5),
        ("max_model_len", 0),
        ("max_model_len", 10**12),
        ("max_num_seqs", -3),
        ("max_num_batched_tokens", 10**9),
        ("tensor_parallel", 0),
        ("cpu_offload_gib", math.inf),
        ("kv_cache_memory_bytes", 0),
        ("block_size", 24),
        ("block_size", 8),
    ],
)
def test_absurd_flags_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError) as caught:
        check_flags(EngineFlags(**{field: value}))
    assert caught.value.field == field


def test_heads_must_divide_over_the_cards() -> None:
    with pytest.raises(InvalidValueError, match="28 attention heads"):
        planned("Qwen/Qwen2.5-7B-Instruct", "H100", tensor_parallel=8)


def test_an_answer_tells_every_term_with_formula_and_source() -> None:
    found = as_json(planned(MISTRAL, gpu_memory_utilization=0.5, max_model_len=2048))
    names = {term["name"] for term in found["terms"]}
    assert names >= {"context", "weights", "non_torch", "transient", "cuda_graphs", "kv_cache", "lora_slots"}
    assert all(term["formula"] and term["source"] for term in found["terms"])
    assert all(term["low_gib"] <= term["gib"] <= term["high_gib"] for term in found["terms"])
    assert found["suggestions"]


def test_every_suggestion_starts_when_taken() -> None:
    shape = shape_of(MISTRAL)
    flags = EngineFlags(gpu_memory_utilization=0.5, max_model_len=8192)
    found = as_json(estimate(shape, find_gpu("L4"), flags))
    for one in found["suggestions"]:
        changes = dict(one["flags"])
        gpu = find_gpu(changes.pop("gpu", "L4"))
        if gpu.id != "L4":
            changes["gpu_memory_utilization"] = None
        assert estimate(shape, gpu, replace(flags, **changes)).starts, one["change"]


def test_speed_is_marked_as_bounds() -> None:
    speed = as_json(planned(MISTRAL, max_model_len=4096))["speed"]
    assert "bounds" in speed["note"]
    assert 15 < speed["decode_tokens_per_s_alone_at_most"] < 21


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({}, "empty torch.compile cache"),
        ({"quantization": "bitsandbytes"}, "vllm-bnb-plugin"),
        ({"cpu_offload_gib": 2, "vllm_version": "0.27.1"}, "ignores cpu_offload_gb"),
    ],
)
def test_what_numbers_do_not_show_is_said_in_notes(flags: dict[str, Any], words: str) -> None:
    notes = as_json(planned(MISTRAL, max_model_len=2048, **flags))["notes"]
    assert any(words in note for note in notes)


def test_an_offload_the_release_ignores_is_not_counted() -> None:
    ignored = planned(MISTRAL, max_model_len=2048, cpu_offload_gib=2, vllm_version="0.27.1")
    assert ignored.parts.offloaded == 0


def test_a_cold_start_leaves_less_cache() -> None:
    warm, cold = (planned(MISTRAL, max_model_len=2048, cold_start=cold) for cold in (False, True))
    assert 0.5 < in_gib(warm.kv.likely - cold.kv.likely) < 1.0
