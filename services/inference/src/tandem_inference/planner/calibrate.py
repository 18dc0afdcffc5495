"""Starts the installed vLLM with dummy weights over a small grid of shapes and flags, and keeps what it reports.

Run as `python -m tandem_inference.planner.calibrate --out FILE` on a machine with a GPU; without a GPU or without
vLLM it says so and ends with exit code 0. Each start gets its own process group, which is ended afterwards.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tandem_inference.planner.catalogue import entries
from tandem_inference.planner.installed_cards import free_mib, installed_cards
from tandem_inference.planner.reported.comparison import Compared, compare_row
from tandem_inference.planner.reported.hints import read_hints
from tandem_inference.planner.reported.log_parser import ParsedLog, parse_log
from tandem_inference.planner.reported.rows import Reported, read_rows
from tandem_inference.planner.reported.runtime import keep

START_SECONDS = 600.0
READY = "Application startup complete"
UNSETTLED = "calibration: neither served nor ended within"
RELEASE_SECONDS = 60.0
SLACK_MIB = 200.0
MODELS = ("Qwen/Qwen2.5-0.5B-Instruct", "meta-llama/Llama-3.2-1B", "Qwen/Qwen3-4B", "google/gemma-2-2b")


@dataclass(frozen=True, slots=True)
class Point:
    """One start of the grid."""

    model: str
    max_model_len: int = 4096
    max_num_seqs: int = 64
    max_num_batched_tokens: int = 2048
    gpu_memory_utilization: float = 0.6
    enforce_eager: bool = False
    kv_cache_dtype: str = "auto"
    max_loras: int = 0

    def words(self, folder: Path, port: int) -> list[str]:
        """The server's command line; dummy weights need no checkpoint, only the config."""
        words = [
            *("--model", str(folder), "--load-format", "dummy", "--skip-tokenizer-init"),
            *("--host", "127.0.0.1", "--port", str(port)),
            *("--max-model-len", str(self.max_model_len), "--max-num-seqs", str(self.max_num_seqs)),
            *("--max-num-batched-tokens", str(self.max_num_batched_tokens)),
            *("--gpu-memory-utilization", f"{self.gpu_memory_utilization:g}"),
            *("--kv-cache-dtype", self.kv_cache_dtype),
        ]
        if self.enforce_eager:
            words.append("--enforce-eager")
        if self.max_loras:
            words += ["--enable-lora", "--max-loras", str(self.max_loras)]
        return words


def grid() -> Iterator[Point]:
    """Each flag is varied alone, on two of the models, so that a term's error can be told from the others'."""
    for model in MODELS:
        yield Point(model)
    for model in MODELS[:2]:
        base = Point(model)
        yield replace(base, max_num_seqs=256)
        yield replace(base, max_num_batched_tokens=8192)
        yield replace(base, max_model_len=16384)
        yield replace(base, enforce_eager=True)
        yield replace(base, kv_cache_dtype="fp8")
        yield replace(base, max_loras=4)


def gpu_name() -> str | None:
    """The first card; None when there is none to be seen."""
    return next(iter(installed_cards()), None)


def reason_to_skip() -> str | None:
    """Why nothing can be measured here, or None."""
    if gpu_name() is None:
        return "no NVIDIA GPU is visible (nvidia-smi is missing or lists none)"
    if importlib.util.find_spec("vllm") is None:
        return "vLLM is not installed in this Python"
    return None


def write_model(folder: Path, model: str) -> None:
    """A folder vLLM can load with dummy weights: the catalogue's config.json and nothing else."""
    config = next(entry.config for entry in entries() if entry.id == model)
    architectures = {
        "llama": "LlamaForCausalLM",
        "qwen2": "Qwen2ForCausalLM",
        "qwen3": "Qwen3ForCausalLM",
        "gemma2": "Gemma2ForCausalLM",
    }
    full = {"architectures": [architectures[config["model_type"]]], **config}
    (folder / "config.json").write_text(json.dumps(full), encoding="utf-8")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start_once(point: Point, *, seconds: float = START_SECONDS) -> str:
    """The log of one start, until the engine serves, fails or the time is over; nothing of it stays running."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder, point.model)
        log = folder / "log"
        command = [
            sys.executable,
            "-m",
            "vllm.entrypoints.openai.api_server",
            *point.words(folder, free_port()),
        ]
        environment = {
            **os.environ,
            "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",", maxsplit=1)[0],
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_LOGGING_LEVEL": "DEBUG",
        }
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter with words made above
                command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, env=environment
            )
            try:
                settled = _wait(process, log, seconds)
            finally:
                _end(process)
        text = log.read_text(encoding="utf-8", errors="replace")
        return text if settled else f"{text}\n{UNSETTLED} {seconds:g} seconds\n"


def _wait(process: subprocess.Popen[bytes], log: Path, seconds: float) -> bool:
    """Whether the engine came to serve, or ended, in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None or READY in log.read_text(encoding="utf-8", errors="replace"):
            return True
        time.sleep(0.5)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    for sent, patience in ((signal.SIGTERM, 30.0), (signal.SIGKILL, 10.0)):
        try:
            os.killpg(process.pid, sent)
        except ProcessLookupError:
            break
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue


def as_row(point: Point, parsed: ParsedLog, gpu: str, *, log: str = READY) -> Reported:
    """The log's numbers with the settings the start was given; a start that did not come to serve says so."""
    loras = f"max_loras={point.max_loras}" if point.max_loras else ""
    ended = ""
    if UNSETTLED in log:
        ended = "no verdict: out of time"
    elif READY not in log and not parsed.failed:
        ended = "ended without serving"
    notes = [note for note in (parsed.row.notes, loras, ended) if note]
    return replace(
        parsed.row,
        source="calibration",
        gpu=parsed.row.gpu or gpu,
        model=point.model,
        max_model_len=point.max_model_len,
        max_num_seqs=point.max_num_seqs,
        max_num_batched_tokens=point.max_num_batched_tokens,
        gpu_memory_utilization=point.gpu_memory_utilization,
        enforce_eager=point.enforce_eager,
        kv_cache_dtype=point.kv_cache_dtype,
        notes="; ".join([*notes, "dummy weights"]),
    )


Key = tuple[object, ...]


def _key(point: Point | Reported) -> Key:
    names = (
        "model",
        "max_model_len",
        "max_num_seqs",
        "max_num_batched_tokens",
        "enforce_eager",
        "kv_cache_dtype",
    )
    loras = point.max_loras if isinstance(point, Point) else read_hints("", point.notes).max_loras
    return (*(getattr(point, name) for name in names), loras)


def measured(out: Path) -> set[Key]:
    """The points an earlier, interrupted run has left in `out`; one that ran out of time is measured again."""
    if not out.exists():
        return set()
    rows = read_rows(out.read_text(encoding="utf-8"))
    return {_key(row) for row in rows if "out of time" not in row.notes}


def wait_for_release(least_free_mib: float) -> None:
    """Blocks until the card is as free as before: a process' memory comes back some time after its end."""
    deadline = time.monotonic() + RELEASE_SECONDS
    while time.monotonic() < deadline and free_mib() < least_free_mib:
        time.sleep(0.5)


def calibrate(out: Path, *, most: int | None = None) -> int:
    """Measures the points that `out` lacks and appends a row per start; returns how many were kept."""
    gpu, known, idle = gpu_name() or "unknown", measured(out), free_mib()
    points = [point for point in grid() if _key(point) not in known][:most]
    for number, point in enumerate(points, start=1):
        log = start_once(point)
        row = as_row(point, parse_log(log), gpu, log=log)
        keep(out, row)
        sys.stdout.write(f"{number} of {len(points)}: {point.model} {_outcome(row)}\n")
        sys.stdout.flush()
        wait_for_release(idle - SLACK_MIB)
    return len(points)


def _outcome(row: Reported) -> str:
    compared = compare_row(row)
    pair = compared.pair("kv_cache_gib") if isinstance(compared, Compared) else None
    if pair is None or pair.error is None:
        return f"no KV figure ({row.notes})"
    return f"KV error {100 * pair.error:.2f} %"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure vLLM's memory over a grid and write a CSV.")
    parser.add_argument("--out", type=Path, default=Path("calibration.csv"))
    parser.add_argument("--most", type=int, help="stop after that many starts")
    words = parser.parse_args(arguments)
    reason = reason_to_skip()
    if reason is not None:
        sys.stdout.write(f"calibration skipped: {reason}\n")
        return 0
    kept = calibrate(words.out, most=words.most)
    sys.stdout.write(f"{kept} starts written to {words.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
