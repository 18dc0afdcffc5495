"""Reading start-up logs of several vLLM generations, explaining failing ones, and comparing a start with its plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from tandem_inference.planner.reported.comparison import Compared, compare_row
from tandem_inference.planner.reported.doctor import diagnose, find_symptoms
from tandem_inference.planner.reported.log_parser import parse_log
from tandem_inference.planner.reported.rows import read_rows
from tandem_inference.planner.reported.runtime import compare_start, keep
from tests.unit.inference.planner.builders import planned

V1_LOG = """\
INFO 04-10 12:00:01 [utils.py:233] non-default args: {'model': 'meta-llama/Llama-3.1-8B-Instruct', \
'max_model_len': 8192, 'gpu_memory_utilization': 0.95, 'max_num_seqs': 1024}
INFO 04-10 12:00:05 [core.py:58] Initializing a V1 LLM engine (v0.19.0) with config: \
model='meta-llama/Llama-3.1-8B-Instruct', speculative_config=None, dtype=torch.bfloat16, max_seq_len=8192, \
tensor_parallel_size=1, pipeline_parallel_size=1, quantization=None, enforce_eager=False, kv_cache_dtype=auto
INFO 04-10 12:00:20 [gpu_model_runner.py:3905] Model loading took 14.99 GiB memory and 9.1 seconds
DEBUG 04-10 12:00:50 [gpu_worker.py:310] Initial free memory: 78.68 GiB; Requested memory: 0.95 (util), 75.23 GiB
INFO 04-10 12:00:50 [gpu_worker.py:298] Available KV cache memory: 58.11 GiB
INFO 04-10 12:00:51 [kv_cache_utils.py:1087] GPU KV cache size: 476,016 tokens
INFO 04-10 12:00:51 [kv_cache_utils.py:1091] Maximum concurrency for 8,192 tokens per request: 58.11x
INFO 04-10 12:01:02 [gpu_model_runner.py:4466] Graph capturing finished in 11 secs, took 0.91 GiB
INFO:     Application startup complete.
"""
V0_LOG = """\
INFO 12-02 10:00:00 llm_engine.py:249] Initializing a V0 LLM engine (v0.6.4) with config: model='meta-llama/Llama-3.1-8B-Instruct', \
dtype=torch.bfloat16, max_seq_len=29000, tensor_parallel_size=1, quantization=None, enforce_eager=True
INFO 12-02 10:00:30 worker.py:232] the current vLLM instance can use total_gpu_memory (23.58GiB) x \
gpu_memory_utilization (0.90) = 21.22GiB
INFO 12-02 10:00:30 worker.py:232] model weights take 14.99GiB; non_torch_memory takes 0.35GiB; PyTorch activation \
peak memory takes 2.99GiB; the rest of the memory reserved for KV Cache is 2.89GiB.
ValueError: The model's max seq len (29000) is larger than the maximum number of tokens that can be stored in KV cache (23648).
"""


def test_a_v1_log_is_read_whole() -> None:
    parsed = parse_log(V1_LOG)
    row = parsed.row
    assert (row.vllm_version, row.model, row.dtype) == (
        "0.19.0",
        "meta-llama/Llama-3.1-8B-Instruct",
        "bfloat16",
    )
    assert (row.max_model_len, row.max_num_seqs, row.gpu_memory_utilization) == (8192, 1024, 0.95)
    assert (row.weights_gib, row.kv_cache_gib, row.kv_cache_tokens) == (14.99, 58.11, 476016)
    assert (row.cudagraph_gib, row.quantization, row.enforce_eager) == (0.91, None, False)
    assert parsed.concurrency == 58.11
    assert not parsed.failed


def test_a_v1_log_names_its_card_by_the_memory_requested() -> None:
    result = compare_row(parse_log(V1_LOG).row)
    assert isinstance(result, Compared)
    assert result.answer.engine.gpu.total_gib == pytest.approx(79.19, abs=0.02)


def test_a_v0_log_is_read_whole_and_known_to_have_failed() -> None:
    parsed = parse_log(V0_LOG)
    row = parsed.row
    assert (row.weights_gib, row.activation_gib, row.non_torch_gib, row.kv_cache_gib) == (
        14.99,
        2.99,
        0.35,
        2.89,
    )
    assert (row.gpu_total_gib, row.gpu_memory_utilization, row.max_model_len) == (23.58, 0.9, 29000)
    assert parsed.failed
    assert row.started is False
    result = compare_row(row)
    assert isinstance(result, Compared)
    assert result.start_right


@pytest.mark.parametrize(
    "text", ["", "\x00" * 100, "no log at all", "Model loading took many GiB", "(" * 10_000]
)
def test_text_that_is_no_log_gives_an_empty_row(text: str) -> None:
    assert parse_log(text).row.weights_gib is None
    assert find_symptoms(text) == ()


@pytest.mark.parametrize(
    ("line", "found", "words"),
    [
        (
            (
                "ValueError: Free memory on device cuda:0 (17.1/22.05 GiB) on startup is less than desired GPU memory "
                "utilization (0.92, 20.29 GiB). Decrease GPU memory utilization"
            ),
            "free_memory",
            "17.1 of 22.05 GiB",
        ),
        ("ValueError: No available memory for the cache blocks. Try increasing", "no_cache_memory", "Raise"),
        (
            (
                "ValueError: To serve at least one request with the models's max seq len (32768), (4.00 GiB KV cache is "
                "needed, which is larger than the available KV cache memory (1.53 GiB). Based on"
            ),
            "context_too_long",
            "1.53 GiB",
        ),
        (V0_LOG, "context_too_long_v0", "23648"),
        ("vllm: error: unrecognized arguments: --swap-space 4", "removed_flag", "--kv-offloading-size"),
        ("vllm: error: unrecognized arguments: --foo", "unknown_flag", "--foo"),
        (
            "AssertionError: Error in memory profiling. Initial free memory 30 GiB",
            "profiling_disturbed",
            "one after",
        ),
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 150.00 MiB. GPU 0 has",
            "out_of_memory",
            "150.00 MiB",
        ),
        (
            "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0",
            "bfloat16",
            "half",
        ),
        (
            "RuntimeError: CUDA error: no kernel image is available for execution on the device",
            "no_kernel",
            "build",
        ),
        ("huggingface_hub.errors.GatedRepoError: 401 Client Error", "gated_model", "HF_TOKEN"),
    ],
)
def test_known_failures_are_explained(line: str, found: str, words: str) -> None:
    findings = {one.id: one for one in find_symptoms(line)}
    assert found in findings
    assert words in findings[found].cause + findings[found].remedy


def test_the_users_advice_to_lower_the_share_is_not_repeated() -> None:
    (finding,) = find_symptoms("No available memory for the cache blocks.")
    assert "lowering it makes this worse" in finding.remedy


def test_a_diagnosis_plans_the_same_settings() -> None:
    found = diagnose(V0_LOG).as_json()
    assert found["plan"]["starts"] is False
    assert found["plan"]["suggestions"]


def test_a_start_is_compared_with_its_plan_and_kept(tmp_path: Path) -> None:
    plan = planned(
        "meta-llama/Llama-3.1-8B-Instruct",
        "H100",
        gpu_memory_utilization=0.95,
        max_model_len=8192,
        vllm_version="0.19.0",
    )
    found = compare_start("chat", plan, V1_LOG)
    assert found.kv_error is not None
    assert found.kv_error < 0.001
    assert found.log_fields()["reported_kv_cache_tokens"] == 476016
    file = tmp_path / "kept" / "starts.csv"
    keep(file, found.reported)
    keep(file, found.reported)
    rows = list(read_rows(file.read_text(encoding="utf-8")))
    assert [row.kv_cache_gib for row in rows] == [58.11, 58.11]
    assert rows[0].gpu == "H100"


def test_a_cache_of_given_size_is_kept_without_a_share_to_blame_for_it() -> None:
    plan = planned(
        "meta-llama/Llama-3.1-8B-Instruct", "H100", max_model_len=8192, kv_cache_memory_bytes=58 * 2**30
    )
    found = compare_start("chat", plan, V1_LOG)
    assert found.kv_error == pytest.approx(abs(58 - 58.11) / 58.11)
    result = compare_row(found.reported)
    assert isinstance(result, Compared)
    assert result.pair("weights_gib") is not None
    assert result.pair("kv_cache_gib") is None


def test_a_log_without_numbers_gives_a_comparison_without_pairs() -> None:
    found = compare_start("chat", planned("Qwen/Qwen3-8B", max_model_len=4096), "nothing here")
    assert found.pairs == ()
    assert found.kv_error is None
