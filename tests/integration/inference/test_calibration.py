"""The calibration with a stand-in for vLLM: a program that prints a GPU's start-up log, fails, or never settles."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tandem_inference.planner import calibrate
from tandem_inference.planner.calibrate import Point
from tandem_inference.planner.cli.main import run
from tandem_inference.planner.reported.log_parser import parse_log
from tandem_inference.planner.reported.rows import Reported, read_rows
from tandem_inference.planner.reported.runtime import keep
from tests.support.start_logs import GPU_START

FAILURE = "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`."


def engine(folder: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Puts an api_server module of ours where `python -m` finds it before any installed vLLM."""
    package = folder / "vllm" / "entrypoints" / "openai"
    package.mkdir(parents=True)
    for part in (package, package.parent, package.parent.parent):
        (part / "__init__.py").touch()
    (package / "api_server.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setattr(calibrate, "gpu_name", lambda: "NVIDIA L4")
    monkeypatch.setattr(calibrate, "grid", lambda: iter([Point("Qwen/Qwen2.5-0.5B-Instruct")]))


def measured(out: Path) -> Reported:
    (row,) = read_rows(out.read_text())
    return row


SERVES = f"import time\nprint({GPU_START!r}, flush=True)\ntime.sleep(600)\n"


def test_a_start_is_kept_as_a_row_that_compare_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine(tmp_path, monkeypatch, SERVES)
    out = tmp_path / "calibration.csv"
    assert calibrate.calibrate(out) == 1
    row = measured(out)
    assert (row.model, row.weights_gib, row.kv_cache_gib) == ("Qwen/Qwen2.5-0.5B-Instruct", 5.79, 13.58)
    assert row.started
    assert run(["compare", str(out)]) == 0
    assert "Qwen2.5-0.5B" in capsys.readouterr().out


def test_what_was_measured_is_not_measured_again_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(tmp_path, monkeypatch, SERVES)
    out = tmp_path / "calibration.csv"
    assert [calibrate.calibrate(out), calibrate.calibrate(out)] == [1, 0]
    measured(out)


def test_a_failed_start_is_a_row_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(tmp_path, monkeypatch, f"raise SystemExit({FAILURE!r})")
    calibrate.calibrate(tmp_path / "calibration.csv")
    assert measured(tmp_path / "calibration.csv").started is False


def test_an_engine_that_ends_without_a_word_is_told_from_one_that_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(tmp_path, monkeypatch, "raise SystemExit(1)")
    calibrate.calibrate(tmp_path / "calibration.csv")
    assert "ended without serving" in measured(tmp_path / "calibration.csv").notes


def test_an_engine_that_never_settles_is_ended_with_its_children_and_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child.pid"
    program = (
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(child)!r}).write_text(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    engine(tmp_path, monkeypatch, program)
    out = tmp_path / "calibration.csv"
    log = calibrate.start_once(Point("Qwen/Qwen2.5-0.5B-Instruct"), seconds=5.0)
    assert calibrate.UNSETTLED in log
    assert not child.exists() or not _runs(int(child.read_text()))
    parsed = parse_log(log)
    keep(out, calibrate.as_row(Point("Qwen/Qwen2.5-0.5B-Instruct"), parsed, "L4", log=log))
    assert calibrate.measured(out) == set()


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", maxsplit=1)[1].split()[0]
    except (OSError, IndexError):
        return False
    return state != "Z"


def test_only_one_card_is_shown_to_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(tmp_path, monkeypatch, "import os\nprint('cards', os.environ['CUDA_VISIBLE_DEVICES'])\n")
    monkeypatch.setitem(os.environ, "CUDA_VISIBLE_DEVICES", "3,1")
    assert "cards 3\n" in calibrate.start_once(Point("Qwen/Qwen2.5-0.5B-Instruct"))
