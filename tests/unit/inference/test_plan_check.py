"""Which starts are compared with their plan, what is kept, and how the others are said to be skipped."""

import logging
from pathlib import Path
from typing import Any

import pytest

from tandem_inference.engines import plan_check
from tandem_inference.engines.declaration import Engine
from tandem_inference.engines.plan_check import PlanCheck
from tandem_inference.engines.start_record import MOST_LINES, StartRecord
from tandem_inference.planner.reported.rows import read_rows
from tests.support.inference_service import declared_engine
from tests.support.start_logs import CPU_START, GPU_START

CATALOGUED: dict[str, Any] = {"model": "Qwen/Qwen2.5-3B-Instruct", "gpu_memory_utilization": 0.9}


def _compare(
    check: PlanCheck, printed: str = GPU_START, fields: dict[str, Any] = CATALOGUED
) -> dict[str, Any]:
    engine = declared_engine(name="chat").model_dump(exclude_none=True) | fields
    return check.compare(Engine.model_validate(engine), printed.splitlines()).as_json()


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What nvidia-smi lists."""
    listed: list[str] = []
    monkeypatch.setattr(plan_check, "installed_cards", lambda: tuple(listed))
    return listed


def test_the_card_is_the_one_that_the_driver_names(cards: list[str]) -> None:
    cards += ["NVIDIA L4", "NVIDIA L4"]
    found = _compare(PlanCheck())
    assert (found["skipped"], found["gpu"]) == (None, "L4")
    assert found["kv_cache_gib"]["reported"] == 13.58
    assert found["kv_error"] < 0.06


def test_the_setting_wins_over_the_driver(cards: list[str]) -> None:
    cards += ["NVIDIA T4"]
    assert _compare(PlanCheck("NVIDIA L4"))["gpu"] == "L4"


def test_the_format_of_the_cache_is_planned(cards: list[str]) -> None:
    plain = _compare(PlanCheck("L4"))
    halved = _compare(PlanCheck("L4"), fields=CATALOGUED | {"kv_cache_dtype": "fp8"})
    ratio = halved["kv_cache_tokens"]["predicted"] / plain["kv_cache_tokens"]["predicted"]
    assert ratio == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize(
    ("listed", "gpu", "printed", "fields", "reason"),
    [
        ([], None, GPU_START, {}, "nvidia-smi names no card"),
        (["NVIDIA L4", "NVIDIA T4"], None, GPU_START, {}, "different cards (NVIDIA L4, NVIDIA T4)"),
        (["Abacus 9"], None, GPU_START, {}, "'Abacus 9', which nvidia-smi names"),
        (["NVIDIA L4"], "abacus", GPU_START, {}, "'abacus', which TANDEM_INFERENCE_GPU names"),
        ([], "L4", CPU_START, {}, "CPU build"),
        ([], "L4", "", {}, "none of the sizes"),
        ([], "L4", "Model loading took many GiB\n\x00(((", {}, "none of the sizes"),
        ([], "L4", GPU_START, {"model": "organisation/never-heard-of"}, "is not in the catalogue"),
        ([], "L4", GPU_START, {"model": "claude-3-opus"}, "closed model"),
        ([], "L4", GPU_START, {"tensor_parallel_size": 100}, "tensor_parallel"),
        ([], "T4", GPU_START, {"dtype": "bfloat16"}, "bfloat16 needs compute capability"),
    ],
)
def test_what_cannot_be_compared_is_said_once_without_alarm(
    cards: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    listed: list[str],
    gpu: str | None,
    printed: str,
    fields: dict[str, Any],
    reason: str,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    cards += listed
    history = tmp_path / "history.csv"
    with caplog.at_level(logging.INFO):
        found = _compare(PlanCheck(gpu, history), printed, CATALOGUED | fields)
    assert list(found) == ["skipped"]
    assert reason in found["skipped"]
    (record,) = caplog.records
    assert (record.levelno, record.message) == (logging.INFO, "engine.plan_skipped")
    assert not history.exists()


def test_a_mistake_of_the_planner_is_logged_and_goes_no_further(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(plan_check, "estimate", fail)
    assert "a mistake" in _compare(PlanCheck("L4"))["skipped"]
    assert [record.message for record in caplog.records] == ["engine.plan_failed"]


def test_the_kept_row_says_what_was_declared_and_what_came(tmp_path: Path) -> None:
    history = tmp_path / "kept" / "history.csv"
    _compare(PlanCheck("L4", history))
    (row,) = read_rows(history.read_text(encoding="utf-8"))
    assert (row.model, row.gpu, row.vllm_version) == ("Qwen/Qwen2.5-3B-Instruct", "L4", "0.32.0")
    assert (row.gpu_memory_utilization, row.max_model_len, row.max_num_seqs) == (0.9, 2048, 16)
    assert (row.weights_gib, row.kv_cache_gib, row.kv_cache_tokens) == (5.79, 13.58, 395520)


def test_a_file_that_cannot_be_written_is_said_and_the_comparison_stands(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    assert _compare(PlanCheck("L4", tmp_path / "file" / "history.csv"))["skipped"] is None
    assert [record.message for record in caplog.records] == ["engine.plan_not_kept"]


def test_a_start_that_prints_for_ever_is_not_kept_whole() -> None:
    record = StartRecord()
    for number in range(MOST_LINES + 500):
        record.add(f"line {number}")
    lines = record.finish()
    assert (len(lines), lines[-1]) == (MOST_LINES, f"line {MOST_LINES + 499}")
    record.add("a request, long after the start")
    assert list(record.lines) == []
