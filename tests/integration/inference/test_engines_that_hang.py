"""An engine that hangs though its processes live is killed, started again, and told with the reason."""

import os
import signal
from pathlib import Path
from typing import Any

import httpx

from tests.support.inference_service import RunningService, inference_service, wait_until

CHAT: dict[str, Any] = {"model": "smollm2-135m-instruct", "messages": [{"role": "user", "content": "hi Ada"}]}


def _restarts(service: RunningService) -> int:
    (engine,) = httpx.get(service.url + "/engines", timeout=30).json()["engines"]
    return int(engine["restarts"])


def test_a_silent_engine_is_started_again_and_answers(tmp_path: Path) -> None:
    environment = {"TANDEM_INFERENCE_ENGINE_SILENT_SECONDS": "2"}
    with inference_service(tmp_path, environment=environment) as service:
        service.wait_until_ready()
        (engine,) = httpx.get(service.url + "/gpu", timeout=30).json()["engines"]
        (server,) = [p["pid"] for p in engine["processes"] if p["role"] == "API server"]
        os.kill(server, signal.SIGSTOP)
        service.wait_until_not_ready()
        wait_until(lambda: _restarts(service) == 1, "a restart", service.log_file)
        assert "its process runs, but it has not answered GET /health" in service.log
        service.wait_until_ready()
        answer = httpx.post(service.url + "/v1/chat/completions", json=CHAT, timeout=30).json()
        assert answer["choices"][0]["message"]["content"] == "You said: hi Ada"


def test_an_engine_that_gets_on_with_no_request_is_started_again(tmp_path: Path) -> None:
    environment = {
        "TANDEM_INFERENCE_ENGINE_SILENT_SECONDS": "10",
        "TANDEM_INFERENCE_ENGINE_STALLED_SECONDS": "1",
    }
    stuck = ("--first-token-delay-seconds", "600")
    with inference_service(tmp_path, environment=environment, engine_flags=stuck) as service:
        service.wait_until_ready()
        with httpx.stream(
            "POST", service.url + "/v1/chat/completions", json=CHAT | {"stream": True}, timeout=60
        ) as answer:
            ended = answer.read()  # told, and not left to wait for ever
        assert b"[DONE]" not in ended
        assert b"engine_not_ready" in ended
        wait_until(lambda: _restarts(service) >= 1, "a restart", service.log_file)
        assert "its counters have stood still" in service.log
