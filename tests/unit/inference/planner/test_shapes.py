"""Reading config.json files: exact where the family is known, a clear error where the file is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tandem_inference.planner import (
    ClosedModelError,
    UnknownModelError,
    UnreadableConfigError,
    shape_from_config,
    shape_of,
)
from tandem_inference.planner.catalogue import Entry, closed_models, entries
from tandem_inference.planner.shape.fields import Fields
from tandem_inference.planner.shape.reading import known_families, read_quantization
from tandem_inference.planner.sources import load_shape
from tandem_inference.planner.weights import parameter_count
from tests.unit.inference.planner.builders import config

COUNTED = [entry for entry in entries() if entry.parameters]


@pytest.mark.parametrize("entry", COUNTED, ids=lambda entry: entry.id)
def test_parameters_equal_the_model_card_for_every_counted_entry(entry: Entry) -> None:
    assert parameter_count(shape_of(entry.id)) == entry.parameters


UNLISTED: dict[str, tuple[dict[str, Any], int]] = {
    "olmo2": (
        {
            "hidden_size": 5120,
            "intermediate_size": 13824,
            "num_hidden_layers": 40,
            "num_attention_heads": 40,
            "num_key_value_heads": 40,
            "vocab_size": 100352,
        },
        13_716_198_400,
    ),
    "cohere": (
        {
            "hidden_size": 8192,
            "intermediate_size": 22528,
            "num_hidden_layers": 40,
            "num_attention_heads": 64,
            "num_key_value_heads": 64,
            "vocab_size": 256000,
        },
        34_980_831_232,
    ),
    "starcoder2": (
        {
            "hidden_size": 3072,
            "intermediate_size": 12288,
            "num_hidden_layers": 30,
            "num_attention_heads": 24,
            "num_key_value_heads": 2,
            "vocab_size": 49152,
            "use_bias": True,
        },
        3_030_371_328,
    ),
    "glm4": (
        {
            "hidden_size": 4096,
            "intermediate_size": 13696,
            "num_hidden_layers": 40,
            "num_attention_heads": 32,
            "num_key_value_heads": 2,
            "head_dim": 128,
            "vocab_size": 151552,
            "attention_bias": True,
        },
        9_400_279_040,
    ),
    "exaone": (
        {
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": None,
            "num_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "vocab_size": 102400,
        },
        7_818_448_896,
    ),
    "olmoe": (
        {
            "hidden_size": 2048,
            "intermediate_size": 1024,
            "num_hidden_layers": 16,
            "num_attention_heads": 16,
            "num_key_value_heads": 16,
            "vocab_size": 50304,
            "num_experts": 64,
            "num_experts_per_tok": 8,
        },
        6_919_161_856,
    ),
    "chatglm": (
        {
            "hidden_size": 4096,
            "intermediate_size": None,
            "ffn_hidden_size": 13696,
            "num_hidden_layers": None,
            "num_layers": 40,
            "num_attention_heads": 32,
            "num_key_value_heads": None,
            "multi_query_group_num": 2,
            "multi_query_attention": True,
            "padded_vocab_size": 151552,
            "vocab_size": None,
            "kv_channels": 128,
            "seq_length": 131072,
            "add_qkv_bias": True,
        },
        9_399_951_360,
    ),
    "qwen": (
        {
            "hidden_size": 4096,
            "intermediate_size": 22016,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": None,
            "vocab_size": 151936,
            "kv_channels": 128,
        },
        7_721_324_544,
    ),
    "baichuan": (
        {
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": None,
            "vocab_size": 125696,
            "model_max_length": 4096,
        },
        7_505_973_248,
    ),
}


@pytest.mark.parametrize("family", UNLISTED)
def test_configs_outside_the_catalogue_are_read_exactly(family: str) -> None:
    changes, parameters = UNLISTED[family]
    assert parameter_count(shape_from_config("x", config(model_type=family, **changes))) == parameters


def test_a_multimodal_config_may_leave_out_what_its_class_defaults_to() -> None:
    shape = shape_from_config(
        "gemma-3-4b",
        {
            "model_type": "gemma3",
            "mm_tokens_per_image": 256,
            "torch_dtype": "bfloat16",
            "text_config": {
                "model_type": "gemma3_text",
                "hidden_size": 2560,
                "intermediate_size": 10240,
                "num_hidden_layers": 34,
                "sliding_window": 1024,
                "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
            },
            "vision_config": {
                "hidden_size": 1152,
                "image_size": 896,
                "intermediate_size": 4304,
                "patch_size": 14,
            },
        },
    )
    assert parameter_count(shape) == 4_300_079_472


def test_every_entry_names_its_source() -> None:
    assert all(entry.source.startswith("https://") for entry in entries())


@pytest.mark.parametrize(
    ("name", "model", "scheme"),
    [
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8", "meta-llama/Llama-3.1-8B", "int8_w8a8"),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", "Qwen/Qwen2.5-7B-Instruct", "awq"),
        ("TheBloke/Mistral-7B-Instruct-v0.2-GPTQ", "mistralai/Mistral-7B-Instruct-v0.2", "gptq"),
        ("neuralmagic/gemma-2-9b-it-FP8", "google/gemma-2-9b", "fp8_channel"),
        ("unsloth/Llama-3.2-3B-Instruct-bnb-4bit", "meta-llama/Llama-3.2-3B", "bitsandbytes"),
        ("openai/gpt-oss-20b", "openai/gpt-oss-20b", "mxfp4"),
    ],
)
def test_quantised_copies_are_found_by_their_base_model(name: str, model: str, scheme: str) -> None:
    copy = shape_of(name)
    assert copy.quantization == scheme
    assert copy.blocks == shape_of(model).blocks


@pytest.mark.parametrize("name", ["gpt-4", "openai/gpt-4o", "claude-3-opus", "gemini-pro", "mistral-medium"])
def test_closed_models_are_refused_as_what_they_are(name: str) -> None:
    with pytest.raises(ClosedModelError, match="not published"):
        shape_of(name)


def test_closed_models_have_no_dimensions() -> None:
    assert {one.maker for one in closed_models()} == {"OpenAI", "Anthropic", "Google", "Mistral AI"}


def test_an_unknown_name_is_refused_with_the_ways_out() -> None:
    with pytest.raises(UnknownModelError, match=r"config\.json.*params_billions"):
        shape_of("nobody/nothing")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"hidden_size": None}, "hidden_size"),
        ({"num_hidden_layers": "22"}, "num_hidden_layers"),
        ({"num_hidden_layers": True}, "num_hidden_layers"),
        ({"vocab_size": -1}, "vocab_size"),
        ({"vocab_size": 10**12}, "vocab_size"),
        ({"intermediate_size": 5632.5}, "intermediate_size"),
        ({"num_key_value_heads": 5}, "num_key_value_heads"),
        ({"hidden_size": 2049}, "num_attention_heads"),
        ({"torch_dtype": "float8"}, "torch_dtype"),
        ({"torch_dtype": 16}, "torch_dtype"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings"),
        ({"rope_scaling": []}, "rope_scaling"),
        ({"rope_scaling": {"rope_type": "linear", "factor": float("nan")}}, "factor"),
        ({"layer_types": ["full_attention"]}, "layer_types"),
        ({"model_type": None}, "model_type"),
        ({"model_type": 3}, "model_type"),
        ({"model_type": "t5"}, "model_type"),
        ({"model_type": "mystery", "num_experts": 8}, "model_type"),
        ({"quantization_config": {"quant_method": "magic"}}, "quantization_config"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, object], field: str) -> None:
    with pytest.raises(UnreadableConfigError) as caught:
        shape_from_config("x", config(**changes))
    assert caught.value.field == field
    assert field.rsplit(".", maxsplit=1)[-1] in caught.value.message


def test_an_unknown_type_with_llama_fields_is_planned_and_said_to_be_assumed() -> None:
    known = shape_from_config("x", config())
    guessed = shape_from_config("x", config(model_type="mystery"))
    assert replace(guessed, assumptions=(), family="llama") == known
    assert "mystery" in guessed.assumptions[0]


def test_a_config_is_read_from_a_file_and_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config()))
    from_folder = load_shape(str(tmp_path))
    from_file = load_shape("./config.json", folder=tmp_path)
    assert from_folder.blocks == from_file.blocks == shape_from_config("x", config()).blocks


@pytest.mark.parametrize("content", ["", "[]", "{", "null", "[" * 100_000])
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UnreadableConfigError):
        load_shape(str(tmp_path))


def test_paths_are_not_read_for_names_from_the_network(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config()))
    with pytest.raises(UnknownModelError):
        load_shape(str(tmp_path / "config.json"), files=False)


def test_windows_follow_the_family() -> None:
    def windows(name: str) -> dict[int | None, int]:
        return {block.attention.window: block.count for block in shape_of(name).blocks}

    assert windows("google/gemma-3-4b-it") == {1024: 29, None: 5}
    assert windows("google/gemma-2-9b") == {4096: 21, None: 21}
    assert windows("openai/gpt-oss-20b") == {128: 12, None: 12}
    assert windows("mistralai/Mistral-7B-v0.1") == {4096: 32}
    assert windows("Qwen/Qwen1.5-7B") == {None: 32}


@pytest.mark.parametrize(
    ("section", "scheme"),
    [
        ({"quant_method": "awq", "bits": 4}, "awq"),
        ({"quant_method": "gptq", "bits": 8}, "gptq_int8"),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8_block"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes"),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int"}}},
            },
            "w4a16",
        ),
    ],
)
def test_declared_quantisation_is_understood(section: dict[str, object], scheme: str) -> None:
    assert read_quantization(Fields({"quantization_config": section})) == scheme


def test_the_families_asked_for_are_known() -> None:
    wanted = {
        "llama",
        "mistral",
        "mixtral",
        "qwen2",
        "qwen3",
        "qwen3_moe",
        "gemma",
        "gemma2",
        "gemma3",
        "phi",
        "phi3",
    }
    wanted |= {"gpt_oss", "deepseek_v2", "granite", "falcon", "mpt", "gpt_neox", "stablelm"}
    assert wanted <= set(known_families())
