"""How a declared engine is started, when it is started again, and what is kept of what it prints."""

import pytest

from tandem_inference.engines.output_lines import OutputLines
from tandem_inference.engines.restart_policy import RestartPolicy
from tandem_inference.engines.vllm_command import engine_command, engine_environment
from tests.support.inference_service import declared_engine


def test_every_declared_field_becomes_a_flag() -> None:
    engine = declared_engine(
        revision="0123abc",
        dtype="bfloat16",
        kv_cache_bytes="1GiB",
        gpu_memory_utilization=0.5,
        enforce_eager=True,
        extra_args=["--seed", "7"],
    )
    words = engine_command(engine, 8801, ["python", "-m", "engine"])
    text = " ".join(words)
    assert words[:3] == ["python", "-m", "engine"]
    assert words[-2:] == ["--seed", "7"]
    for flags in (
        "--host 127.0.0.1 --port 8801",
        "--model organisation/model --served-model-name smollm2-135m-instruct",
        "--revision 0123abc",
        "--dtype bfloat16",
        "--max-model-len 2048 --max-num-seqs 16",
        "--kv-cache-memory-bytes 1073741824",
        "--gpu-memory-utilization 0.5",
        "--enforce-eager",
        "--scheduling-policy priority",
    ):
        assert flags in text


def test_an_engine_is_told_nothing_secret_and_tells_nobody_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_INFERENCE_SERVICE_TOKEN", "a-token-of-the-service")
    monkeypatch.setenv("VLLM_SERVER_DEV_MODE", "1")
    environment = engine_environment(declared_engine(environment={"OMP_NUM_THREADS": "2"}))
    assert "TANDEM_INFERENCE_SERVICE_TOKEN" not in environment
    assert environment["VLLM_SERVER_DEV_MODE"] == environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "0"
    assert environment["VLLM_NO_USAGE_STATS"] == environment["DO_NOT_TRACK"] == "1"
    assert environment["OMP_NUM_THREADS"] == "2"


def test_waits_double_up_to_half_a_minute_and_the_fifth_crash_in_ten_minutes_is_the_last() -> None:
    policy = RestartPolicy()
    assert [policy.delay_after_crash(second) for second in (0, 10, 20, 30, 40)] == [1, 2, 4, 8, None]
    assert RestartPolicy(first_delay_seconds=20).delay_after_crash(0) == 20
    slow = RestartPolicy(first_delay_seconds=20)
    assert [slow.delay_after_crash(second) for second in (0, 1)] == [20, 30]


def test_crashes_of_long_ago_are_forgotten() -> None:
    policy = RestartPolicy()
    assert [policy.delay_after_crash(hour * 3600.0) for hour in range(20)] == [1.0] * 20


def test_output_is_cut_into_lines_however_it_arrives() -> None:
    seen: list[str] = []
    lines = OutputLines(seen.append)
    for data in (b"fir", b"st\n\n  sec\xc3", b"\xa9nd\r50%\r100%\n\x1b[31mred\x1b[0m\n", b"\xff", b"last"):
        lines.feed(data)
    lines.end()
    assert seen == ["first", "secénd", "50%", "100%", "red", "�last"]


def test_the_last_error_is_what_is_complained_of() -> None:
    lines = OutputLines(lambda _: None)
    assert lines.last_complaint() == "it printed nothing"
    lines.feed(b"start\nValueError: too long\nfirst things\n")
    assert lines.last_complaint() == "ValueError: too long"


def test_endless_output_without_a_line_end_is_not_kept_in_memory() -> None:
    seen: list[str] = []
    lines = OutputLines(seen.append)
    for _ in range(100):
        lines.feed(b"x" * 1000)
    assert len(seen) >= 20
