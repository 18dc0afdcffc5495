"""State-space models and hybrids against sizes that vLLM 0.32's own classes and cache functions gave on the meta device."""

from __future__ import annotations

from typing import Any

import pytest

from tandem_inference.planner import UnreadableConfigError, shape_from_config, shape_of
from tandem_inference.planner.quantization import SCHEMES
from tandem_inference.planner.weights import weight_bytes
from tests.unit.inference.planner.builders import config, in_gib, planned

MODELS = {
    "nvidia/Nemotron-H-8B-Base-8K": (15.1125, 17039360, 7, 357.5),
    "ai21labs/AI21-Jamba-Reasoning-3B": (5.9849, 393216, 14, 13.875),
    "ai21labs/Jamba-v0.1": (96.0641, 1310720, 8, 82.5),
    "tiiuae/Falcon-H1-7B-Instruct": (14.2331, 70647808, 2, 404.25),
    "LiquidAI/LFM2-1.2B": (2.1956, 196608, 3, 48.75),
    "LiquidAI/LFM2-8B-A1B": (15.5500, 196608, 4, 49.125),
    "state-spaces/mamba-2.8b-hf": (5.2292, 12451840, 1, 11.875),
    "tiiuae/falcon-mamba-7b": (13.5620, 19922944, 1, 19.0),
    "mistralai/Mamba-Codestral-7B-v0.1": (13.6326, 138149888, 1, 131.75),
    "Qwen/Qwen3-Next-80B-A3B-Instruct": (148.4374, 13369344, 4, 178.5),
    "MiniMaxAI/MiniMax-M2": (426.0860, 4063232, 1, 992.0),
    "baidu/ERNIE-4.5-21B-A3B-PT": (40.7336, 917504, 1, 224.0),
    "tencent/Hunyuan-A13B-Instruct": (149.7446, 2097152, 1, 512.0),
}
"""Weights in GiB (bfloat16), bytes per block, groups, and MiB of one request of 4096 tokens."""


@pytest.mark.parametrize("model", MODELS)
def test_weights_and_cache_pages_equal_vllms_own(model: str) -> None:
    weights, per_block, groups, request_mib = MODELS[model]
    length = min(4096, shape_of(model).max_position)
    layout = planned(model, "H200", max_model_len=length, dtype="bfloat16").parts.layout
    found = in_gib(weight_bytes(shape_of(model), SCHEMES["none"], "bfloat16", unsplit=True))
    assert found == pytest.approx(weights, rel=0.0005)
    assert (layout.bytes_per_block, layout.groups) == (per_block, groups)
    blocks = layout.blocks_per_request(length, in_flight=4096)
    assert blocks * layout.bytes_per_block == request_mib * 2**20


def test_granite_4_small_has_the_parameters_of_its_card_and_starts_where_it_fits() -> None:
    assert planned("ibm-granite/granite-4.0-h-small", "H100", max_model_len=32768).starts
    assert not planned("ibm-granite/granite-4.0-h-small", "L4", max_model_len=32768).starts
    gib = in_gib(weight_bytes(shape_of("ibm-granite/granite-4.0-h-small"), SCHEMES["none"], "bfloat16"))
    assert gib == pytest.approx(32.2e9 * 2 / 2**30, rel=0.005)


def test_a_hybrids_cache_grows_far_slower_than_with_attention_alone() -> None:
    def per_request(model: str, length: int) -> int:
        answer = planned(model, "H100", max_model_len=length)
        return answer.needed

    hybrid = per_request("ibm-granite/granite-4.0-h-micro", 65536)
    dense = per_request("ibm-granite/granite-4.0-micro", 65536)
    assert hybrid < dense / 4


def test_a_model_without_attention_needs_one_state_whatever_the_length() -> None:
    short = planned("tiiuae/falcon-mamba-7b", max_model_len=256)
    long = planned("tiiuae/falcon-mamba-7b", max_model_len=2048)
    assert short.needed == long.needed > 0


def test_states_are_divided_between_ranks() -> None:
    alone = planned("nvidia/Nemotron-H-8B-Base-8K", "H100", max_model_len=4096)
    halves = planned("nvidia/Nemotron-H-8B-Base-8K", "H100", max_model_len=4096, tensor_parallel=2)
    assert halves.parts.layout.bytes_per_block == pytest.approx(alone.parts.layout.bytes_per_block / 2)


def nemotron(**changes: Any) -> dict[str, Any]:
    return config(
        model_type="nemotron_h",
        hybrid_override_pattern="M-*-",
        mamba_num_heads=64,
        mamba_head_dim=64,
        ssm_state_size=128,
        **changes,
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"hybrid_override_pattern": "M?"}, "hybrid_override_pattern"),
        ({"hybrid_override_pattern": None}, "hybrid_override_pattern"),
        ({"hybrid_override_pattern": 7}, "hybrid_override_pattern"),
        ({"ssm_state_size": -1}, "ssm_state_size"),
        ({"mamba_num_heads": None}, "mamba_num_heads"),
        ({"use_bias": "no"}, "use_bias"),
    ],
)
def test_a_wrong_field_of_a_hybrid_is_named(changes: dict[str, Any], field: str) -> None:
    values = {**nemotron(), **changes}
    with pytest.raises(UnreadableConfigError) as caught:
        shape_from_config("x", {name: value for name, value in values.items() if value is not None})
    assert caught.value.field == field


@pytest.mark.parametrize(
    "part",
    [
        {"moe_num_experts": 64},
        {"mamba_d_state": 128},
        {"num_kv_shared_layers": 10},
        {"hidden_size_per_layer_input": 256},
        {"hidden_act": "relu2"},
        {"block_types": ["recurrent"]},
        {"vision_config": {"hidden_size": 1152}},
        {"audio_config": {"hidden_size": 1152}},
    ],
)
def test_an_unknown_family_with_parts_of_its_own_is_not_guessed_at(part: dict[str, Any]) -> None:
    with pytest.raises(UnreadableConfigError, match="mystery"):
        shape_from_config("x", config(model_type="mystery", **part))


def test_latent_attention_that_is_expanded_counts_every_heads_keys_and_values() -> None:
    expanded = config(
        model_type="minicpm3",
        hidden_size=2560,
        num_attention_heads=40,
        num_key_value_heads=40,
        q_lora_rank=768,
        kv_lora_rank=256,
        qk_nope_head_dim=64,
        qk_rope_head_dim=32,
        v_head_dim=64,
    )
    attention = shape_from_config("x", expanded).blocks[0].attention
    assert (attention.kind, attention.kv_heads, attention.head_dim) == ("full", 40, 96)
