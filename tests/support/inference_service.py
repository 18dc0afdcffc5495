"""Starts the inference service as a process of its own over stub engines, for tests that need the real thing but no model.

Leaves nothing behind: the service is stopped in order, and its engines with it.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tandem_inference.engines.declaration import Engine
from tests.support.ports import free_ports

STUB_ENGINE = Path(__file__).with_name("stub_engine.py")
_DEADLINE_SECONDS = 90.0  # starting a process takes half a minute on a machine that is busy enough


@dataclass(frozen=True)
class RunningService:
    """The running service. `log` is everything that it has printed so far."""

    process: subprocess.Popen[bytes]
    url: str
    engine_url: str
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def wait_until_ready(self) -> None:
        wait_until(lambda: self._status("/ready") == 200, f"{self.url}/ready to answer 200", self.log_file)

    def wait_until_not_ready(self) -> None:
        wait_until(lambda: self._status("/ready") == 503, f"{self.url}/ready to answer 503", self.log_file)

    def _status(self, path: str) -> int | None:
        try:
            return httpx.get(self.url + path).status_code
        except httpx.TransportError:
            return None


@contextmanager
def inference_service(
    folder: Path,
    *,
    engine_flags: tuple[str, ...] = (),
    environment: dict[str, str] | None = None,
    engine_fields: str = "model: ./model",
) -> Iterator[RunningService]:
    """Run `tandem-inference serve` with one stub engine; files go to `folder`, `engine_flags` to the stub.

    `engine_fields` are more fields of the declared engine, its model among them.
    """
    port, engine_port = free_ports(2)
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    engines = folder / "engines.yaml"
    engines.write_text(
        "engines:\n"
        "  - {name: stub, served_model_name: smollm2-135m-instruct,"
        f" max_model_len: 2048, max_num_seqs: 16, {engine_fields}}}\n"
    )
    settings = {
        "TANDEM_INFERENCE_PORT": str(port),
        "TANDEM_INFERENCE_ENGINE_FIRST_PORT": str(engine_port),
        "TANDEM_INFERENCE_ENGINES_FILE": str(engines),
        "TANDEM_INFERENCE_ENGINE_COMMAND": json.dumps([sys.executable, str(STUB_ENGINE), *engine_flags]),
        "TANDEM_INFERENCE_ENGINE_STOP_GRACE_SECONDS": "2",
    }
    command = [sys.executable, "-m", "tandem_inference.entrypoints.cli", "serve"]
    log_file = folder / "service.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command, env=os.environ | settings | (environment or {}), stdout=log, stderr=log, cwd=folder
        )
    try:
        yield RunningService(process, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{engine_port}", log_file)
    finally:
        process.terminate()
        try:
            process.wait(_DEADLINE_SECONDS)
        finally:
            process.kill()


def declared_engine(name: str = "stub", model: str = "smollm2-135m-instruct", **fields: Any) -> Engine:
    """An engine as its file would declare it."""
    required = {"name": name, "model": "organisation/model", "served_model_name": model}
    return Engine.model_validate(required | {"max_model_len": 2048, "max_num_seqs": 16} | fields)


def wait_until(condition: Callable[[], bool], what: str, log_file: Path) -> None:
    """Poll `condition`; fail with the end of the log when it does not come true in time."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(
                f"waited {_DEADLINE_SECONDS:g} s for {what}; log:\n{log_file.read_text()[-3000:]}"
            )
        time.sleep(0.05)
