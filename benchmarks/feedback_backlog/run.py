"""Shows that the feedback worker's memory does not grow with its backlog: requests sent in one bulk, and most of them left waiting.

Starts an emulator, a stub engine and one worker with a database of its own; prints its memory as the backlog grows.
Run it as `.venvs/dev/bin/python benchmarks/feedback_backlog/run.py [requests]`.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import httpx  # noqa: E402 - the project's root has to be on the path first
import pytest  # noqa: E402

from tests.support.emulator import Emulator  # noqa: E402
from tests.support.engine_server import EngineServer  # noqa: E402
from tests.support.feedback_stranger import make_topics  # noqa: E402
from tests.support.feedback_worker import FeedbackWorker  # noqa: E402

SAMPLE_EVERY = 10_000
WATCHED_SECONDS = 60


def resident_mib(pid: int) -> float:
    """Return what a process holds now, and its peak is never below that."""
    (line,) = [one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def lines(count: int, worker: FeedbackWorker, started: float) -> Iterator[bytes]:
    """Yield the body, and print a sample now and then while it is being read."""
    turns = [
        {"role": "user", "content": "What is 2 + 2? " * 20},
        {"role": "assistant", "content": "4. " * 20},
    ]
    for number in range(count):
        if number % SAMPLE_EVERY == 0:
            tell(number, worker, started)
        body = {"request_id": f"backlog-{number}", "conversation_id": f"c-{number}", "transcript": turns}
        yield json.dumps(body).encode() + b"\n"


def tell(number: int, worker: FeedbackWorker, started: float) -> None:
    print(f"{number:>10,}  {time.monotonic() - started:8.1f}  {resident_mib(worker.pid):8.1f}", flush=True)


def send(count: int, worker: FeedbackWorker) -> int:
    """Send all in one request, answers read while it is sent; return how many were accepted."""
    print(f"{'sent':>10}  {'seconds':>8}  {'RSS MiB':>8}")
    started = time.monotonic()
    url = worker.client.base_url.join("/v1/feedback/bulk?batch_id=backlog")
    with httpx.stream(
        "POST", url, content=lines(count, worker, started), timeout=None, trust_env=False
    ) as answer:
        accepted = sum(1 for line in answer.iter_lines() if json.loads(line)["status"] == 202)
    tell(count, worker, started)
    return accepted


def watch(worker: FeedbackWorker) -> None:
    """Print how the worker works the backlog off."""
    print(f"{'waiting':>10}  {'done':>8}  {'RSS MiB':>8}")
    until = time.monotonic() + WATCHED_SECONDS
    while time.monotonic() < until:
        states = worker.client.get("/v1/batches/backlog", timeout=60).json()["states"]
        print(f"{states['queued']:>10,}  {states['done']:>8,}  {resident_mib(worker.pid):8.1f}", flush=True)
        time.sleep(WATCHED_SECONDS / 6)


def main(count: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="backlog-"))
    emulator, inference = Emulator(folder / "emulator.log"), EngineServer()
    emulator.start()
    inference.start()
    inference.answer_slowly(0.02)
    with pytest.MonkeyPatch.context() as patch:
        project = make_topics(emulator.host, patch)
    worker = FeedbackWorker(
        folder, emulator_host=emulator.host, project=project, inference_url=inference.url, slots="16"
    )
    worker.run("migrate")
    try:
        worker.start()
        print("one worker, 16 slots, SQLite")
        print(f"accepted: {send(count, worker):,} of {count:,}")
        watch(worker)
        started = time.monotonic()
        print(f"stopped with {worker.stop()} after {time.monotonic() - started:.1f} s")
    finally:
        worker.kill()
        inference.stop()
        emulator.kill()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
