"""Each field of an engine: what it becomes, what is refused and what is said then. (`test_engines_file` has the file itself.)"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tandem_inference.engines import refused_flags
from tandem_inference.engines.declaration import Engine
from tandem_inference.engines.engines_file import read_engines
from tandem_inference.engines.vllm_command import engine_command, engine_environment
from tandem_inference.errors import StartError
from tests.support.inference_service import declared_engine

ENGINE = """\
  - name: small
    model: organisation/model
    served_model_name: tiny
    max_model_len: 2048
    max_num_seqs: 16
"""
LAST = 6  # the line of max_num_seqs
NewAdapter = Callable[[str, dict[str, Any]], Path]


@pytest.fixture
def new_adapter(tmp_path: Path) -> NewAdapter:
    def make(name: str, config: dict[str, Any]) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "adapter_config.json").write_text(json.dumps(config))
        return folder

    return make


def _engines(folder: Path, text: str) -> tuple[Engine, ...]:
    file = folder / "engines.yaml"
    file.write_text(text)
    return read_engines(file).engines


def _mistake(folder: Path, text: str) -> str:
    with pytest.raises(StartError) as caught:
        _engines(folder, text)
    return str(caught.value)


def _words(**fields: Any) -> str:
    return " ".join(engine_command(declared_engine(**fields), 8801, ["vllm"]))


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        ({"tokenizer": "organisation/words"}, "--tokenizer organisation/words"),
        ({"quantization": "compressed-tensors"}, "--quantization compressed-tensors"),
        ({"load_format": "safetensors"}, "--load-format safetensors"),
        ({"max_num_batched_tokens": 4096}, "--max-num-batched-tokens 4096"),
        ({"kv_cache_dtype": "fp8_e5m2"}, "--kv-cache-dtype fp8_e5m2"),
        ({"cpu_offload_gb": 2.5}, "--cpu-offload-gb 2.5"),
        ({"tensor_parallel_size": 2}, "--tensor-parallel-size 2"),
        ({"pipeline_parallel_size": 3}, "--pipeline-parallel-size 3"),
        ({"enable_prefix_caching": True}, "--enable-prefix-caching"),
        ({"enable_prefix_caching": False}, "--no-enable-prefix-caching"),
        ({"max_lora_rank": 64}, "--enable-lora --max-loras 1 --max-lora-rank 64"),
        ({"max_loras": 3}, "--enable-lora --max-loras 3 --max-lora-rank 16"),
    ],
)
def test_a_field_becomes_its_flag_when_given_and_nothing_when_not(fields: dict[str, Any], flags: str) -> None:
    assert f" {flags} " in _words(**fields)
    assert flags.split(maxsplit=1)[0] not in _words()


def test_a_chat_template_is_found_from_the_file_and_given_as_a_path(tmp_path: Path) -> None:
    (tmp_path / "chat.jinja").write_text("{{ messages }}")
    (engine,) = _engines(tmp_path, f"engines:\n{ENGINE}    chat_template: chat.jinja\n")
    assert f"--chat-template {tmp_path / 'chat.jinja'}" in " ".join(engine_command(engine, 1, []))


def test_room_for_adapters_follows_from_those_declared(tmp_path: Path, new_adapter: NewAdapter) -> None:
    new_adapter("formal", {"r": 8})
    new_adapter("brief", {"r": 4, "rank_pattern": {"q_proj": 20}})
    text = f"engines:\n{ENGINE}    adapters:\n      - {{name: formal, model: ./formal}}\n      - {{name: brief, model: ./brief}}\n"
    (engine,) = _engines(tmp_path, text)
    assert [adapter.model for adapter in engine.adapters] == [
        str(tmp_path / "formal"),
        str(tmp_path / "brief"),
    ]
    assert "--enable-lora --max-loras 2 --max-lora-rank 32" in " ".join(engine_command(engine, 1, []))
    (narrow,) = _engines(tmp_path, text + "    max_loras: 1\n    max_lora_rank: 64\n")
    words = " ".join(engine_command(narrow, 1, []))
    assert "--max-loras 1 --max-lora-rank 64 --max-cpu-loras 2" in words


def test_adapters_are_changed_at_run_time_only_in_engines_that_declare_room_for_them() -> None:
    with_room = engine_environment(declared_engine(max_lora_rank=8))
    assert with_room["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1"
    assert with_room["VLLM_SERVER_DEV_MODE"] == "0"
    sleeping = engine_environment(declared_engine(), sleep_mode=True)
    assert sleeping["VLLM_SERVER_DEV_MODE"] == "1"
    assert sleeping["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "0"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("tokenizer: ./nowhere", ["engines[0].tokenizer", "tokenizer_config.json"]),
        ("chat_template: gone.jinja", ["engines[0].chat_template", "gone.jinja"]),
        ("quantization: int3", ["engines[0].quantization", "'int3'", "awq", "fp8"]),
        ("quantization: bitsandbytes", ["engines[0].quantization", "0.28", "AWQ", "vllm-bnb-plugin"]),
        ("quantization: aqlm", ["engines[0].quantization", "dropped", "GPTQ"]),
        ("quantization: fp_quant", ["engines[0].quantization", "deprecated"]),
        ("load_format: gguf", ["engines[0].load_format", "vllm-gguf-plugin"]),
        ("load_format: zip", ["engines[0].load_format", "'zip'", "safetensors"]),
        ("kv_cache_dtype: fp7", ["engines[0].kv_cache_dtype", "'fp7'", "fp8_e5m2"]),
        ("max_num_batched_tokens: 8", ["engines[0].max_num_batched_tokens", "max_num_seqs", "16"]),
        ("cpu_offload_gb: -1", ["engines[0].cpu_offload_gb", "greater than 0", "GiB"]),
        ("cpu_offload_gb: .inf", ["engines[0].cpu_offload_gb", "finite"]),
        ("tensor_parallel_size: 0", ["engines[0].tensor_parallel_size", "greater than or equal to 1"]),
        ("enable_prefix_caching: perhaps", ["engines[0].enable_prefix_caching", "boolean"]),
        ("gpu_memory_utilization: 1.5", ["engines[0].gpu_memory_utilization", "less than or equal to 1"]),
        ("max_lora_rank: 12", ["engines[0].max_lora_rank", "8, 16, 32"]),
        ("on_demand: {idle: 3}", ["engines[0].on_demand.idle", "idle_seconds"]),
        ("on_demand: {idle_seconds: 0}", ["on_demand.idle_seconds", "greater than 0", "without a request"]),
        ("adapters: [{name: a b, model: x/y}]", ["engines[0].adapters[0].name", "'a b'"]),
        ("adapters: [{name: a, model: ./nowhere}]", ["adapters[0].model", "adapter_config.json"]),
        ("adapters: [{name: a, hub: x/y}]", ["adapters[0].hub", "expected one of name, model, revision"]),
        ("adapters: [{name: tiny, model: x/y}]", ["adapters[0].name", "name of a model"]),
        ("adapters: [{name: a, model: x/y}, {name: a, model: x/z}]", ["adapters[1].name", "two adapters"]),
    ],
)
def test_a_wrong_value_is_told_with_its_line_and_what_is_right(
    tmp_path: Path, line: str, told: list[str]
) -> None:
    messages = _mistake(tmp_path, f"engines:\n{ENGINE}    {line}\n").splitlines()
    assert all(message.startswith(f"{tmp_path}/engines.yaml, line {LAST + 1}: ") for message in messages)
    for words in told:
        assert words in "\n".join(messages)


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("--swap-space", ["0.18", "--kv-offloading-size"]),
        ("--disable-log-requests", ["0.12", "--enable-log-requests"]),
        ("--use-v2-block-manager", ["V0", "leave it out"]),
        ("--max-parallel-loading-workers", ["ignores", "leave it out"]),
        ("--calculate-kv-scales", ["0.28"]),
        ("--num-scheduler-steps", ["V0"]),
        ("--block-size", ["multiple of 16"]),
    ],
)
def test_a_flag_that_vllm_dropped_is_refused_however_it_is_written(
    tmp_path: Path, flag: str, told: list[str]
) -> None:
    field = flag.removeprefix("--").replace("-", "_")
    for line in (
        f'extra_args: ["{flag}", "8"]',
        f'extra_args: ["{flag}=8"]',
        f'extra_args: ["--{field}", "8"]',
        f"{field}: 8",
    ):
        message = _mistake(tmp_path, f"engines:\n{ENGINE}    {line}\n")
        assert f"engines.yaml, line {LAST + 1}:" in message
        for words in [flag, *told]:
            assert words in message


def test_blocks_of_a_possible_size_are_left_to_vllm(tmp_path: Path) -> None:
    (engine,) = _engines(tmp_path, f'engines:\n{ENGINE}    extra_args: ["--block-size", "32"]\n')
    assert engine_command(engine, 1, [])[-2:] == ["--block-size", "32"]


@pytest.mark.parametrize(
    ("flag", "instead"),
    [
        ("--tensor-parallel-size=2", "the field tensor_parallel_size"),
        ("-tp", "the field tensor_parallel_size"),
        ("-q", "the field quantization"),
        ("--device_memory_utilization", "the field gpu_memory_utilization"),
        ("--enable-lora", "the field adapters"),
        ("--enable-sleep-mode", "the field on_demand"),
        ("--hos", "loopback"),  # vLLM takes every beginning of a flag for the flag
        ("--gpu-mem=0.9", "the field gpu_memory_utilization"),
        ("--config", "one place declares the engine"),
    ],
)
def test_a_flag_that_a_field_decides_is_refused_with_the_field(
    tmp_path: Path, flag: str, instead: str
) -> None:
    message = _mistake(tmp_path, f'engines:\n{ENGINE}    extra_args: ["--seed", "7", "{flag}"]\n')
    assert (
        f"cannot be given here; use {'nothing: engines listen on ' if instead == 'loopback' else ''}"
        in message
    )
    assert instead in message


def test_a_method_is_allowed_once_its_plugin_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refused_flags, "distribution", lambda name: name)
    (engine,) = _engines(tmp_path, f"engines:\n{ENGINE}    quantization: bitsandbytes\n")
    assert engine.quantization == "bitsandbytes"


def test_heads_that_cannot_be_divided_are_refused(model_folder: Path, tmp_path: Path) -> None:
    (model_folder / "config.json").write_text('{"num_attention_heads": 9}')
    text = f"engines:\n{ENGINE.replace('organisation/model', './model')}    tensor_parallel_size: "
    assert "9 attention heads" in _mistake(tmp_path, text + "2\n")
    assert _engines(tmp_path, text + "3\n")[0].tensor_parallel_size == 3


def test_prompts_must_fit_a_step_without_chunked_prefill(tmp_path: Path) -> None:
    text = f"engines:\n{ENGINE}    max_num_batched_tokens: 1024\n"
    assert _engines(tmp_path, text)
    assert "chunked prefill" in _mistake(tmp_path, text + "    extra_args: [--no-enable-chunked-prefill]\n")


@pytest.mark.parametrize(
    "config", ["", "{}", '{"r": 0}', '{"r": "8"}', "[]", '{"r": 1000}', '{"r": 8, "rank_pattern": 3}']
)
def test_an_adapter_without_a_usable_rank_is_refused(
    tmp_path: Path, new_adapter: NewAdapter, config: str
) -> None:
    (new_adapter("a", {}) / "adapter_config.json").write_text(config)
    message = _mistake(tmp_path, f"engines:\n{ENGINE}    adapters: [{{name: a, model: ./a}}]\n")
    assert "engines[0].adapters[0].model" in message
    assert "rank" in message


def test_less_room_than_an_adapter_needs_is_refused(tmp_path: Path, new_adapter: NewAdapter) -> None:
    new_adapter("a", {"r": 32})
    text = f"engines:\n{ENGINE}    adapters: [{{name: a, model: ./a}}]\n    max_lora_rank: 16\n"
    message = _mistake(tmp_path, text)
    assert f"line {LAST + 2}: engines[0].max_lora_rank: 16 is less" in message


SECOND = ENGINE.replace("name: small", "name: other", 1)


def test_copies_of_one_model_may_share_its_name_and_adapters(tmp_path: Path) -> None:
    adapters = "    adapters: [{name: formal, model: x/formal, revision: abc}]\n"
    engines = _engines(tmp_path, f"engines:\n{ENGINE}{adapters}{SECOND}{adapters}")
    assert [engine.served_model_name for engine in engines] == ["tiny", "tiny"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            ("organisation/model", "organisation/other"),
            ["line 10", "served_model_name", "'small' and 'other'", "differ in model"],
        ),
        (("2048", "1024"), ["line 10", "differ in max_model_len"]),
        (("name: other", "name: small"), ["line 8", "engines[1].name", "'small' is given to two engines"]),
        (
            ("tiny", "large\n    adapters: [{name: formal, model: x/formal}]"),
            ["line 11", "engines[1].adapters[0].name", "'formal' is also the name of an adapter of 'small'"],
        ),
        (
            ("16\n", "16\n    adapters: [{name: formal, model: x/other}]\n"),
            ["line 13", "same model and revision"],
        ),
        (("tiny", "formal"), ["line 7", "engines[0].adapters[0].name", "name of a model"]),
    ],
)
def test_a_name_that_would_mean_two_things_is_refused(
    tmp_path: Path, change: tuple[str, str], told: list[str]
) -> None:
    first = ENGINE.replace("16\n", "16\n    adapters: [{name: formal, model: x/formal}]\n")
    message = _mistake(tmp_path, f"engines:\n{first}{SECOND.replace(*change)}")
    for words in told:
        assert words in message
