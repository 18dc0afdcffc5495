"""The single terms, against figures engines have logged."""

from __future__ import annotations

import pytest

from tandem_inference.planner import InvalidValueError, shape_of
from tandem_inference.planner.cuda_graphs import capture_sizes
from tandem_inference.planner.kv.groups import group_size
from tandem_inference.planner.lora import slot_bytes
from tandem_inference.planner.quantization import SCHEMES, scheme_for
from tandem_inference.planner.releases import parse_release, rules_for
from tandem_inference.planner.units import MIB
from tandem_inference.planner.weights import allocated, weight_bytes
from tests.unit.inference.planner.builders import in_gib, planned


@pytest.mark.parametrize(
    ("model", "scheme", "logged_gib"),
    [
        ("meta-llama/Llama-3.1-8B", "none", 14.9888),
        ("Qwen/Qwen2.5-7B-Instruct", "none", 14.2487),
        ("mistralai/Mistral-7B-v0.3", "none", 13.5084),
        ("microsoft/phi-4", "none", 27.39),
        ("google/gemma-2-2b", "none", 4.90),
        ("Qwen/Qwen3-14B", "none", 27.52),
        ("Qwen/Qwen3-32B", "none", 61.03),
        ("google/gemma-3-4b-it", "none", 8.58),
        ("meta-llama/Llama-3.1-8B", "fp8", 8.49),
        ("mistralai/Mistral-7B-v0.3", "awq", 3.89),
        ("Qwen/Qwen2.5-7B-Instruct", "awq", 5.2032),
    ],
)
def test_weights_are_within_half_a_percent_of_the_log(model: str, scheme: str, logged_gib: float) -> None:
    found = in_gib(weight_bytes(shape_of(model), SCHEMES[scheme], "bfloat16"))
    assert found == pytest.approx(logged_gib, rel=0.005)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1, 512),
        (9 * MIB, 9 * MIB),
        (11 * MIB + 512, 12 * MIB),
        (10 * MIB + 512, 10 * MIB + 512),
        (64 * MIB, 64 * MIB),
    ],
)
def test_the_allocator_keeps_small_rests_of_large_segments(size: int, expected: int) -> None:
    assert allocated(size) == expected


def test_unsplit_tensors_keep_the_whole_rounding() -> None:
    assert allocated(24 * MIB + 512, unsplit=True) == 26 * MIB


@pytest.mark.parametrize(
    ("model", "per_token"),
    [
        ("mistralai/Mistral-7B-v0.3", 131072),
        ("meta-llama/Llama-2-7b", 524288),
        ("Qwen/Qwen3-8B", 147456),
        ("microsoft/phi-4", 204800),
        ("deepseek-ai/DeepSeek-V2-Lite", 31104),
        ("Qwen/Qwen2.5-3B", 36864),
        ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", 22528),
        ("01-ai/Yi-6B", 65536),
    ],
)
def test_cache_bytes_per_token_count_kv_heads_only(model: str, per_token: int) -> None:
    assert planned(model, "H100", max_model_len=2048).parts.layout.token_bytes == per_token


@pytest.mark.parametrize(("counts", "size"), [([5, 29], 5), ([12, 12], 12), ([12, 13], 13), ([21, 21], 21)])
def test_layers_are_grouped_by_the_smaller_kind(counts: list[int], size: int) -> None:
    assert group_size(counts) == size


def test_a_hybrid_grows_its_block_until_it_holds_a_state() -> None:
    assert planned("Qwen/Qwen3.5-4B", max_model_len=4096).parts.layout.block_tokens == 528


@pytest.mark.parametrize(
    ("model", "concurrency", "flags"),
    [
        ("google/gemma-3-4b-it", 57.05, {}),
        ("openai/gpt-oss-20b", 316.07, {"tensor_parallel": 2, "gpu_memory_utilization": 0.9}),
        ("meta-llama/Llama-3.1-8B", 58.11, {}),
    ],
)
def test_concurrency_matches_the_log(model: str, concurrency: float, flags: dict[str, float]) -> None:
    settings = {"gpu_memory_utilization": 0.95, "max_model_len": 8192, "vllm_version": "0.19.0", **flags}
    assert planned(model, "H100", **settings).capacity.concurrency == pytest.approx(concurrency, rel=0.002)


def test_a_lora_slot_of_qwen3_4b_is_within_four_percent_of_the_measured_one() -> None:
    assert slot_bytes(shape_of("Qwen/Qwen3-4B"), "bfloat16", rank=16) / MIB == pytest.approx(79.0, rel=0.04)


def test_lora_ranks_are_those_vllm_takes() -> None:
    with pytest.raises(InvalidValueError, match="16"):
        slot_bytes(shape_of("Qwen/Qwen3-4B"), "bfloat16", rank=17)


def test_an_l4_captures_51_sizes_of_which_35_are_full_graphs() -> None:
    sizes = capture_sizes(256, 2048)
    assert len(sizes) == 51
    assert sum(1 for size in sizes if size <= 256) == 35


def test_graphs_are_an_interval_and_vanish_when_eager() -> None:
    graphs = planned("Qwen/Qwen3-8B").parts.graphs
    assert graphs.low < 0.65 * 2**30 < graphs.high
    assert planned("Qwen/Qwen3-8B", enforce_eager=True).parts.graphs.high == 0


@pytest.mark.parametrize(
    ("version", "engine", "graphs"),
    [
        ("0.7.3", "V0", False),
        ("0.11.0", "V1", False),
        ("0.22", "V1", True),
        ("0.27.1", "V2", False),
        ("0.32", "V2", True),
    ],
)
def test_releases_change_engine_and_graph_accounting(version: str, engine: str, graphs: bool) -> None:
    rules = rules_for(version)
    assert (rules.engine, rules.graphs_in_budget) == (engine, graphs)


@pytest.mark.parametrize("text", ["", "latest", "1.0", "0.99", "0.1", "0.32.1.2.3", "nan", "0." + "9" * 50])
def test_a_version_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError):
        parse_release(text)


@pytest.mark.parametrize("gone", ["aqlm", "gguf", "marlin"])
def test_removed_quantisations_are_named_with_a_replacement(gone: str) -> None:
    with pytest.raises(InvalidValueError, match="use '"):
        scheme_for(gone, None)


def test_a_checkpoint_cannot_be_requantised_by_a_flag() -> None:
    with pytest.raises(InvalidValueError, match="cannot change"):
        scheme_for("fp8", "awq")
