"""`tandem-plan` as a person and a program use it: tables, JSON, exit codes, and never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tandem_inference.planner import calibrate
from tandem_inference.planner.cli.main import run
from tandem_inference.planner.reported.comparison import Compared, compare_row
from tandem_inference.planner.reported.log_parser import parse_log
from tests.unit.inference.planner.builders import CSV, config
from tests.unit.inference.planner.test_logs import V0_LOG, V1_LOG


def test_an_estimate_is_a_table_with_the_shares_to_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(["estimate", "mistralai/Mistral-7B-Instruct-v0.3", "--gpu", "L4", "--max-model-len", "8192"]) == 0
    )
    out = capsys.readouterr().out
    assert "weights" in out
    assert "least       --gpu-memory-utilization 0.7" in out


def test_an_estimate_that_does_not_start_ends_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["estimate", "meta-llama/Llama-3.1-70B", "--gpu", "L4", "--max-model-len", "8192", "--json"])
    assert code == 1
    found = json.loads(capsys.readouterr().out)
    assert found["starts"] is False
    assert found["gate"]["message"]


def test_a_config_file_can_be_estimated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config()))
    assert run(["estimate", str(tmp_path), "--json", "--max-model-len", "auto"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["max_model_len"] == 2048


@pytest.mark.parametrize(
    "words",
    [
        ["estimate", "gpt-4"],
        ["estimate", "nobody/nothing", "--offline"],
        ["estimate", "Qwen/Qwen3-8B", "--gpu", "abacus"],
        ["estimate", "Qwen/Qwen3-8B", "--gpu-memory-utilization", "7"],
        ["estimate", "Qwen/Qwen3-8B", "--max-model-len", "1000000000000"],
        ["estimate", "Qwen/Qwen3-8B", "--vllm-version", "yesterday"],
        ["estimate", "./no/such/config.json"],
        ["plan", "no-such-file.yaml"],
        ["compare", "no-such-file.csv"],
        ["doctor", "/"],
        ["serve", "--port", "99999999"],
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_two(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    assert capsys.readouterr().err.startswith("tandem-plan: ")


def test_a_declared_file_is_planned_with_commands_to_copy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "engines.yaml").write_text(
        "engines:\n"
        "  - {name: chat, model: Qwen/Qwen2.5-3B-Instruct, max_model_len: 4096, max_num_seqs: 32, served_model_name: c}\n"
        "  - {name: small, model: HuggingFaceTB/SmolLM2-135M-Instruct, max_model_len: 2048, max_num_seqs: 16}\n"
    )
    assert run(["plan", str(tmp_path / "engines.yaml"), "--gpu", "L4"]) == 0
    assert "vllm serve Qwen/Qwen2.5-3B-Instruct --gpu-memory-utilization" in capsys.readouterr().out


def test_a_model_in_a_folder_keeps_its_path_in_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
    }
    (folder / "config.json").write_text(json.dumps(config))
    (tmp_path / "engines.yaml").write_text(
        "engines:\n  - {name: own, model: ./models/mine, max_model_len: 2048}\n"
    )
    assert run(["plan", str(tmp_path / "engines.yaml"), "--gpu", "L4"]) == 0
    assert "vllm serve ./models/mine --gpu-memory-utilization" in capsys.readouterr().out


def test_compare_reads_the_table_and_gives_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", str(CSV), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["summary"]["rows"] == len(found["rows"])
    assert found["summary"]["start_right"] == 1.0
    assert {"weights_gib", "kv_cache_gib", "model", "gpu"} <= found["rows"][0].keys()


def test_compare_reads_a_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "vllm.log").write_text(V1_LOG)
    assert run(["compare", str(tmp_path / "vllm.log"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["summary"]["kv_gib_error_median"] < 0.01


def test_the_doctor_explains_a_failing_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "vllm.log").write_text(V0_LOG)
    assert run(["doctor", str(tmp_path / "vllm.log")]) == 0
    out = capsys.readouterr().out
    assert "context_too_long_v0" in out
    assert "would start:" in out


@pytest.mark.parametrize("command", ["gpus", "models"])
def test_lists_are_printed(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 10


def test_the_planner_needs_no_vllm_no_torch_and_no_web_framework() -> None:
    code = (
        "import sys, tandem_inference.planner.cli.main, tandem_inference.planner.several.faces\n"
        "heavy = {'vllm', 'torch', 'transformers', 'fastapi', 'httpx'} & set(sys.modules)\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_calibration_says_plainly_when_it_skips(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(calibrate, "gpu_name", lambda: None)
    assert calibrate.main([]) == 0
    assert "skipped: no NVIDIA GPU" in capsys.readouterr().out


def test_every_point_of_the_calibration_can_be_predicted() -> None:
    parsed = parse_log(V1_LOG)
    for point in calibrate.grid():
        assert isinstance(compare_row(calibrate.as_row(point, parsed, "H100")), Compared)
