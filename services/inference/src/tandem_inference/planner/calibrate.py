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
from tandem_inference.planner.installed_cards import installed_cards
from tandem_inference.planner.reported.comparison import Compared, compare_row
from tandem_inference.planner.reported.log_parser import ParsedLog, parse_log
from tandem_inference.planner.reported.rows import Reported
from tandem_inference.planner.reported.runtime import keep

START_SECONDS = 600.0
READY = "Application startup complete"
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
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_LOGGING_LEVEL": "DEBUG",
        }
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter with words made above
                command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, env=environment
            )
            try:
                _wait(process, log, seconds)
            finally:
                _end(process)
        return log.read_text(encoding="utf-8", errors="replace")


def _wait(process: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if READY in log.read_text(encoding="utf-8", errors="replace"):
            return
        time.sleep(0.5)


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


def as_row(point: Point, parsed: ParsedLog, gpu: str) -> Reported:
    """The log's numbers with the settings the start was given."""
    notes = [
        note for note in (parsed.row.notes, f"max_loras={point.max_loras}" if point.max_loras else "") if note
    ]
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


def calibrate(out: Path, *, most: int | None = None) -> int:
    """Measures the grid and appends a row per start to `out`; returns how many starts were kept."""
    gpu = gpu_name() or "unknown"
    kept = 0
    for number, point in enumerate(grid(), start=1):
        if most is not None and number > most:
            break
        row = as_row(point, parse_log(start_once(point)), gpu)
        keep(out, row)
        kept += 1
        compared = compare_row(row)
        pair = compared.pair("kv_cache_gib") if isinstance(compared, Compared) else None
        error = "no KV figure" if pair is None or pair.error is None else f"KV error {100 * pair.error:.2f} %"
        sys.stdout.write(f"{number}: {point.model} {error}\n")
        sys.stdout.flush()
    return kept


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
