"""The parts that the gateway's benchmarks measure: the inference service over real vLLM or the stub engine, as processes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / ".cache" / "models" / "smollm2-135m-instruct"
MODEL_NAME = "smollm2-135m-instruct"
STUB = ROOT / "tests" / "support" / "stub_engine.py"
START_SECONDS = 300
FREE_SECONDS = 60
FREE_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Running:
    """One inference service with one engine: `url` is the gateway's address, `engine_url` the engine's own."""

    url: str
    engine_url: str
    pid: int
    log: Path

    def gateway_mib(self) -> float:
        """Memory of the gateway's process alone."""
        return float(psutil.Process(self.pid).memory_info().rss) / 2**20

    def gateway_cpu_seconds(self) -> float:
        spent = psutil.Process(self.pid).cpu_times()
        return float(spent.user + spent.system)


@contextmanager
def real_engine(*, sequences: int) -> Iterator[Running]:
    """Run the service over real vLLM with the small model; `make model` makes it."""
    if not (MODEL / "config.json").exists():
        raise SystemExit("The small model is missing: run `make model` first.")
    with _service(
        f"model: {MODEL}, dtype: bfloat16, kv_cache_bytes: 1GiB, enforce_eager: true", sequences
    ) as one:
        yield one


@contextmanager
def stub_engine(*, sequences: int, first_token_seconds: float, token_seconds: float) -> Iterator[Running]:
    """Run the service over the stub engine, which computes nothing and keeps to the given times."""
    words = [
        "--first-token-delay-seconds",
        str(first_token_seconds),
        "--token-delay-seconds",
        str(token_seconds),
    ]
    command = json.dumps([sys.executable, str(STUB), *words])
    with _service(f"model: {MODEL_NAME}", sequences, TANDEM_INFERENCE_ENGINE_COMMAND=command) as one:
        yield one


@contextmanager
def _service(engine_fields: str, sequences: int, **settings: str) -> Iterator[Running]:
    port, engine_port = free_ports(2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "engines.yaml").write_text(
            f"engines:\n  - {{name: bench, served_model_name: {MODEL_NAME}, max_model_len: 2048,"
            f" max_num_seqs: {sequences}, {engine_fields}}}\n"
        )
        settings |= {
            "TANDEM_INFERENCE_PORT": str(port),
            "TANDEM_INFERENCE_ENGINE_FIRST_PORT": str(engine_port),
            "TANDEM_INFERENCE_ENGINES_FILE": str(folder / "engines.yaml"),
        }
        running = Running(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{engine_port}", 0, folder / "log")
        command = [sys.executable, "-m", "tandem_inference.entrypoints.cli", "serve"]
        with background_process(command, folder, settings, running.log) as process:
            wait_until_answering(f"{running.url}/ready", process, running.log)
            yield Running(running.url, running.engine_url, process.pid, running.log)


@contextmanager
def background_process(
    command: list[str], folder: Path, settings: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` in `folder` while the context is open, its output in `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **settings}, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_until_answering(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Block until `url` answers 200; exit with the end of the log when the process ends or time is up."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise SystemExit(
        f"{url} did not answer 200. The end of its log:\n{log.read_text(errors='replace')[-3000:]}"
    )


async def until_engine_is_free(running: Running) -> None:
    """Return once vLLM itself counts no request, running or waiting; TimeoutError when it never does."""
    async with asyncio.timeout(FREE_SECONDS):
        while await asyncio.to_thread(_engine_requests, running.engine_url):  # noqa: ASYNC110 - behind a socket
            await asyncio.sleep(FREE_POLL_SECONDS)


def _engine_requests(engine_url: str) -> int:
    with urllib.request.urlopen(f"{engine_url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    counted = ("vllm:num_requests_running{", "vllm:num_requests_waiting{")
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines if line.startswith(counted))
