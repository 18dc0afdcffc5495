"""After each start the engine's own numbers stand beside the planner's: in the log, at `GET /engines` and in the file."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tandem_inference.planner.reported.comparison import compare
from tandem_inference.planner.reported.rows import read_rows
from tests.support.inference_service import RunningService, inference_service, wait_until
from tests.support.start_logs import GPU_START

CATALOGUED = "model: Qwen/Qwen2.5-3B-Instruct, gpu_memory_utilization: 0.9"


def _start_log(folder: Path, text: str) -> tuple[str, ...]:
    file = folder / "start.log"
    file.write_text(text)
    return ("--start-log", str(file))


def _events(service: RunningService, name: str) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in service.log.splitlines() if line.startswith("{")]
    return [record for record in records if record["event"] == name]


def _engine(service: RunningService) -> dict[str, Any]:
    (engine,) = httpx.get(service.url + "/engines").json()["engines"]
    return dict(engine)


def _plan(service: RunningService) -> dict[str, Any]:
    """The engine's comparison, once there is one."""
    service.wait_until_ready()
    wait_until(lambda: _engine(service)["plan"] is not None, "a comparison", service.log_file)
    return dict(_engine(service)["plan"])


def test_a_start_is_compared_logged_shown_and_kept(tmp_path: Path) -> None:
    history = tmp_path / "kept" / "history.csv"
    environment = {"TANDEM_INFERENCE_GPU": "L4", "TANDEM_INFERENCE_PLAN_HISTORY_FILE": str(history)}
    flags = _start_log(tmp_path, GPU_START)
    with inference_service(
        tmp_path, engine_flags=flags, environment=environment, engine_fields=CATALOGUED
    ) as service:
        plan = _plan(service)
        assert (plan["skipped"], plan["gpu"], plan["vllm_version"]) == (None, "L4", "0.32.0")
        assert plan["kv_cache_gib"]["reported"] == 13.58
        assert plan["kv_cache_tokens"]["reported"] == 395520
        assert plan["weights_gib"]["error"] < 0.005
        error = abs(plan["kv_cache_gib"]["predicted"] - 13.58) / 13.58
        assert plan["kv_error"] == pytest.approx(error, abs=0.0001)
        assert error < 0.06

        (compared,) = _events(service, "engine.plan_compared")
        assert (compared["engine"], compared["gpu"], compared["reported_kv_cache_gib"]) == (
            "stub",
            "L4",
            13.58,
        )
        engine = _engine(service)
        assert (engine["name"], engine["state"], engine["restarts"]) == ("stub", "ready", 0)
        assert engine["running_seconds"] >= engine["ready_seconds"] >= 0

        os.killpg(_events(service, "engine.starting")[0]["pid"], signal.SIGKILL)
        service.wait_until_not_ready()
        service.wait_until_ready()
        wait_until(lambda: len(_kept(history)) == 2, "a second row", service.log_file)
    summary = compare(_kept(history)).summary()
    assert (summary["rows"], summary["start_right"], summary["skipped"]) == (2, 1.0, [])
    assert summary["kv_gib_error_median"] == pytest.approx(plan["kv_error"], abs=0.0001)


def _kept(file: Path) -> list[Any]:
    return list(read_rows(file.read_text(encoding="utf-8")))


def test_without_a_card_nothing_is_compared_and_the_engine_serves(tmp_path: Path) -> None:
    history = tmp_path / "history.csv"
    environment = {
        "TANDEM_INFERENCE_PLAN_HISTORY_FILE": str(history),
        "PATH": str(tmp_path),  # no nvidia-smi, whatever this machine has
    }
    flags = _start_log(tmp_path, GPU_START)
    with inference_service(
        tmp_path, engine_flags=flags, environment=environment, engine_fields=CATALOGUED
    ) as service:
        plan = _plan(service)
        (skipped,) = _events(service, "engine.plan_skipped")
        assert skipped["level"] == "INFO"
        assert "nvidia-smi names no card" in skipped["reason"]
        assert plan == {"skipped": skipped["reason"]}
        assert _engine(service)["state"] == "ready"
    assert not history.exists()
