"""Several engines on one card: what fits is divided and ordered, what does not is refused with what would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tandem_inference.planner import InvalidValueError, UnreadableConfigError, find_gpu, shape_of
from tandem_inference.planner.several.declaration import (
    EngineView,
    read_engines,
    read_engines_file,
    size_in_bytes,
)
from tandem_inference.planner.several.faces import plan_engines, wanted_engines
from tandem_inference.planner.units import GIB

USERS: list[dict[str, Any]] = [
    {
        "name": name,
        "model": model,
        "max_model_len": length,
        "max_num_seqs": rows,
        "max_num_batched_tokens": tokens,
        "enforce_eager": True,
        "dtype": "float16",
    }
    for name, model, length, rows, tokens in (
        ("tiny", "TinyLlama/TinyLlama-1.1B-Chat-v1.0", 1024, 32, 2048),
        ("qwen", "Qwen/Qwen2.5-3B-Instruct", 1536, 24, 3072),
        ("yi", "01-ai/Yi-6B-Chat", 2048, 16, 4096),
    )
]


def plan(engines: list[dict[str, Any]], gpu: str = "L4", **options: Any) -> dict[str, Any]:
    views = read_engines({"engines": engines})
    return plan_engines(wanted_engines(views, shape_of), find_gpu(gpu), **options)[1]


@pytest.mark.parametrize("profile", ["conservative", "balanced", "aggressive"])
def test_the_users_three_models_fit_their_5090_in_every_profile(profile: str) -> None:
    found = plan(USERS, "RTX5090", profile=profile)
    assert found["fits"]
    assert all(one["starts"] and one["restartable_beside_the_others"] for one in found["engines"])


def test_shares_contexts_and_overshoot_stay_within_the_card() -> None:
    gpu = find_gpu("L4")
    found = plan(USERS)
    contexts = len(USERS) * gpu.context_gib
    assert found["fits"]
    assert found["sum_of_shares"] <= 0.96
    assert found["sum_of_shares"] * gpu.total_gib + contexts <= gpu.total_gib


def test_profiles_leave_more_or_less_of_the_card() -> None:
    two = [
        dict(USERS[1], max_num_seqs=256, max_model_len=32768),
        dict(USERS[0], max_num_seqs=256, max_model_len=2048),
    ]
    rooms = [plan(two, profile=name)["room_gib"] for name in ("conservative", "balanced", "aggressive")]
    assert rooms == sorted(rooms)
    assert rooms[0] < rooms[2]


def test_engines_start_small_to_large_and_each_finds_its_share_free() -> None:
    found = plan(USERS[::-1], "RTX5090")
    assert found["start_order"] == ["tiny", "qwen", "yi"]
    for one in found["engines"]:
        assert one["free_before_gib"] >= one["estimate"]["card"]["requested_gib"]


def test_engines_start_as_listed_when_the_file_says_so() -> None:
    views = read_engines({"engines": USERS[::-1], "start_order": "as_listed"})
    found = plan_engines(wanted_engines(views, shape_of), find_gpu("RTX5090"))[1]
    assert found["fits"]
    assert found["start_order"] == ["yi", "qwen", "tiny"]


def test_what_cannot_fit_is_refused_and_every_remedy_would_work() -> None:
    big = {"name": "chat", "model": "mistralai/Mistral-7B-Instruct-v0.3", "max_model_len": 8192}
    engines = [big, {**big, "name": "feedback", "quantization": "awq"}]
    found = plan(engines)
    assert not found["fits"]
    assert "at least" in found["refusal"]
    changes = [one["change"] for one in found["suggestions"]]
    assert any("AWQ" in change for change in changes)
    assert plan([{**big, "quantization": "awq"}, engines[1]])["fits"]


def test_engines_of_one_base_model_are_told_of_lora_slots() -> None:
    big = {"name": "a", "model": "mistralai/Mistral-7B-Instruct-v0.3", "max_model_len": 8192}
    found = plan([big, {**big, "name": "b"}])
    assert any("LoRA" in one["change"] for one in found["suggestions"])


def test_declared_shares_and_cache_sizes_are_kept() -> None:
    engines = [{**USERS[0], "gpu_memory_utilization": 0.3}, {**USERS[1], "kv_cache_bytes": "2GiB"}]
    found = {one["name"]: one for one in plan(engines)["engines"]}
    assert found["tiny"]["gpu_memory_utilization"] == 0.3
    assert found["qwen"]["kv_cache_memory_bytes"] == 2 * GIB
    assert "--kv-cache-memory-bytes" in found["qwen"]["flags"]


def test_declared_shares_that_overfill_the_card_are_refused() -> None:
    found = plan([{**one, "gpu_memory_utilization": 0.4} for one in USERS])
    assert not found["fits"]


def test_adapters_cost_cache() -> None:
    base = {"name": "a", "model": "Qwen/Qwen3-4B", "max_model_len": 4096, "gpu_memory_utilization": 0.8}
    without = plan([base])["engines"][0]["estimate"]
    with_two = plan([{**base, "adapters": [{"name": "x", "rank": 16}, {"name": "y", "rank": 32}]}])[
        "engines"
    ][0]["estimate"]
    assert with_two["kv"]["available_gib"] < without["kv"]["available_gib"] - 0.2


def test_flags_among_extra_args_count() -> None:
    view = EngineView.model_validate(
        {"name": "a", "model": "m", "extra_args": ["--tensor-parallel-size", "2", "--kv-cache-dtype=fp8"]}
    )
    assert (view.tensor_parallel, view.kv_cache_dtype) == (2, "fp8")


@pytest.mark.parametrize(
    ("engines", "field"),
    [
        ([], "engines"),
        ([{"name": "a"}], "engines.0.model"),
        ([{"name": "a", "model": "m", "gpu_memory_utilization": 2}], "engines.0.gpu_memory_utilization"),
        ([{"name": "a", "model": "m", "max_model_len": -1}], "engines.0.max_model_len"),
        ([{"name": "a", "model": "m"}, {"name": "a", "model": "m"}], "engines"),
        ([{"name": "a", "model": "m"}] * 17, "engines"),
        (["a"], "engines.0"),
    ],
)
def test_a_wrong_declaration_is_named(engines: list[Any], field: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        read_engines({"engines": engines})
    assert caught.value.field == field


@pytest.mark.parametrize("content", ["engines: [", "engines: 3", "\x00", "!!python/object:os.system {}"])
def test_a_file_that_is_no_declaration_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "engines.yaml"
    file.write_text(content)
    with pytest.raises((UnreadableConfigError, InvalidValueError)):
        read_engines_file(file)


@pytest.mark.parametrize(
    ("text", "size"), [("1GiB", GIB), ("512MiB", GIB // 2), ("2GB", 2 * 10**9), ("100", 100)]
)
def test_sizes_are_read_as_written(text: str, size: int) -> None:
    assert size_in_bytes(text, field="x") == size


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="balanced"):
        plan(USERS, profile="reckless")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"speculative_config": {"model": "x", "num_speculative_tokens": 3}}, "speculative_config"),
        ({"data_parallel_size": 2}, "data_parallel_size"),
        ({"enable_expert_parallel": True}, "enable_expert_parallel"),
        ({"extra_args": ["--speculative-config", "{}"]}, "extra_args"),
        ({"extra_args": ["--speculative_config.model=x"]}, "extra_args"),
        ({"extra_args": ["-dp", "2"]}, "extra_args"),
        ({"extra_args": ["--num-gpu-blocks-override=100"]}, "extra_args"),
    ],
)
def test_a_setting_without_a_model_is_refused_instead_of_ignored(
    settings: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidValueError, match="no model of") as caught:
        read_engines([{"name": "a", "model": "Qwen/Qwen3-4B", **settings}])
    assert caught.value.field == f"engines.0.{field}"


@pytest.mark.parametrize(
    "settings",
    [
        {"data_parallel_size": 1, "enable_expert_parallel": False, "speculative_config": None},
        {"extra_args": ["--data-parallel-size", "1", "--max-num-seqs=8"]},
    ],
)
def test_settings_that_change_nothing_are_planned(settings: dict[str, object]) -> None:
    assert read_engines([{"name": "a", "model": "Qwen/Qwen3-4B", **settings}])[0].name == "a"


def test_short_numbers_of_extra_args_are_read_as_vllm_reads_them() -> None:
    words = ["--max-model-len", "8K", "--max-num-batched-tokens=4k"]
    read = read_engines([{"name": "a", "model": "Qwen/Qwen3-4B", "extra_args": words}])[0]
    assert (read.max_model_len, read.max_num_batched_tokens) == (8192, 4000)
