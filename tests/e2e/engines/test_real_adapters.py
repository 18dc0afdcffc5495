"""The inference service with real vLLM and the small model: two adapters beside their base, killed, added and removed."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tandem_local.checkout import ROOT, program
from tests.support.bound_process import bound_to_this_process
from tests.support.lora_files import write_adapter
from tests.support.ports import free_ports
from tests.support.waiting import wait_until

START_SECONDS = 400.0  # half a minute on two idle cores; CI machines are seldom idle
MODEL = "smollm2-135m-instruct"


class Service:
    """`tandem-inference serve` over one real engine. Its file and logs lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        port, engine_port = free_ports(2)
        self.url = f"http://127.0.0.1:{port}"
        self._settings = {
            "TANDEM_INFERENCE_PORT": str(port),
            "TANDEM_INFERENCE_ENGINE_FIRST_PORT": str(engine_port),
            "TANDEM_INFERENCE_ENGINES_FILE": str(folder / "engines.yaml"),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def declare(self, *adapters: str) -> None:
        listed = "".join(f"      - {{name: {name}, model: ./{name}}}\n" for name in adapters)
        (self.folder / "engines.yaml").write_text(
            f"engines:\n  - name: small\n    model: {ROOT}/.cache/models/{MODEL}\n    served_model_name: {MODEL}\n"
            "    dtype: bfloat16\n    max_model_len: 512\n    max_num_seqs: 4\n    kv_cache_bytes: 64MiB\n"
            f"    enforce_eager: true\n    max_loras: 2\n    adapters:\n{listed}"
        )

    def start(self) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_")}
        command = [*bound_to_this_process(signal.SIGTERM), str(program("inference", "tandem-inference"))]
        with (self.folder / "service.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "serve"], env=kept | self._settings, cwd=self.folder, stdout=log, stderr=log
            )

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)

    def engine(self) -> dict[str, Any]:
        (engine,) = httpx.get(f"{self.url}/engines", trust_env=False).json()["engines"]
        return dict(engine)

    def wait_until_adapters_are(self, **states: str) -> None:
        def found() -> bool:
            try:
                models = self.engine()["models"]
            except httpx.TransportError:
                return False
            return {one["name"]: one["state"] for one in models if one["kind"] == "adapter"} == states

        wait_until(f"adapters to be {states}: see {self.folder}/service.log", found, seconds=START_SECONDS)

    def ask(self, model: str) -> httpx.Response:
        body = {
            "model": model,
            "messages": [{"role": "user", "content": "What is the capital of France?"}],
            "max_tokens": 12,
            "temperature": 0,
        }
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=120, trust_env=False)

    def said(self, model: str) -> str:
        answer = self.ask(model)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["choices"][0]["message"]["content"])


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    for seed, name in enumerate(("formal", "brief", "late")):
        write_adapter(tmp_path / name, seed=seed)
    running = Service(tmp_path)
    running.declare("formal", "brief")
    try:
        running.start()
        yield running
    finally:
        running.stop()


def test_adapters_answer_each_in_its_way_and_are_kept_as_declared(service: Service) -> None:
    service.wait_until_adapters_are(formal="ready", brief="ready")
    said = {model: service.said(model) for model in (MODEL, "formal", "brief")}
    assert "Paris" in said[MODEL]
    assert len(set(said.values())) == 3, said

    killed = service.engine()["pid"]
    os.killpg(killed, signal.SIGKILL)
    wait_until(
        "another process", lambda: service.engine()["pid"] not in {None, killed}, seconds=START_SECONDS
    )
    service.wait_until_adapters_are(formal="ready", brief="ready")
    assert {model: service.said(model) for model in said} == said

    service.declare("brief", "late")
    assert service.process is not None
    service.process.send_signal(signal.SIGHUP)
    service.wait_until_adapters_are(brief="ready", late="ready")
    assert service.ask("formal").status_code == 404
    assert service.said("brief") == said["brief"]
    assert service.said("late") not in said.values()
