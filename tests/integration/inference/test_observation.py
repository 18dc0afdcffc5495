"""The service as a process of its own tells of its real processes, and of engines that answer, hang and die."""

import os
import signal
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.support.inference_service import RunningService, inference_service, wait_until

CHAT: dict[str, Any] = {
    "model": "smollm2-135m-instruct",
    "messages": [{"role": "user", "content": "hi Ada"}],
    "stream": True,
    "ignore_eos": True,
    "max_tokens": 2000,
}


def _get(service: RunningService, path: str) -> httpx.Response:
    return httpx.get(service.url + path, timeout=30)


def _engine(service: RunningService) -> dict[str, Any]:
    (engine,) = _get(service, "/engines").json()["engines"]
    return dict(engine)


def _processes(service: RunningService) -> dict[str, int]:
    """The engine's processes as `GET /gpu` tells them: role to process id."""
    (engine,) = _get(service, "/gpu").json()["engines"]
    return {process["role"]: process["pid"] for process in engine["processes"]}


def _samples(service: RunningService) -> dict[str, float]:
    answer = _get(service, "/metrics")
    assert answer.status_code == 200
    families = list(text_string_to_metric_families(answer.text))
    assert len({family.name for family in families}) == len(families)
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_a_running_engine_is_told_by_process_request_and_metric(tmp_path: Path) -> None:
    with inference_service(tmp_path, engine_flags=("--token-delay-seconds", "0.02")) as service:
        service.wait_until_ready()
        url = service.url + "/v1/chat/completions"
        with httpx.stream("POST", url, json=CHAT, timeout=30) as answer:
            lines = answer.iter_lines()  # kept, because its end would close the answer
            next(lines)
            wait_until(
                lambda: _engine(service)["reported"]["requests_running"] == 1,
                "the request to be told as running",
                service.log_file,
            )
            wait_until(
                lambda: (_engine(service)["reported"]["generation_tokens_per_second"] or 0) > 0,
                "tokens per second",
                service.log_file,
            )
            engine = _engine(service)
            assert (engine["slots"]["free"], engine["slots"]["interactive"]["running"]) == (15, 1)
            samples = _samples(service)
            assert samples["vllm:num_requests_running"] == 1
            assert samples["vllm:generation_tokens_total"] > 0
        gpu = _get(service, "/gpu").json()
        assert gpu["gateway"]["processes"][0]["pid"] == service.process.pid
        roles = _processes(service)
        assert (set(roles), roles["keeper"]) == ({"keeper", "API server"}, engine["pid"])
        raw = _get(service, "/engines/stub/metrics").text
        assert raw.startswith("# HELP vllm:num_requests_running")


def test_an_engine_that_hangs_or_dies_is_missing_from_metrics_and_the_rest_is_told(tmp_path: Path) -> None:
    with inference_service(tmp_path) as service:
        service.wait_until_ready()
        server = _processes(service)["API server"]
        os.kill(server, signal.SIGSTOP)
        try:
            wait_until(
                lambda: "did not answer" in (_engine(service)["reported"]["unavailable"] or ""),
                "the engine's silence to be told",
                service.log_file,
            )
            assert "vllm:num_requests_running" not in _samples(service)
            assert _get(service, "/engines/stub/metrics").status_code == 503
        finally:
            os.kill(server, signal.SIGCONT)
        wait_until(
            lambda: "vllm:num_requests_running" in _samples(service),
            "the engine to be back in the metrics",
            service.log_file,
        )

        os.kill(server, signal.SIGKILL)
        service.wait_until_not_ready()
        assert "vllm:num_requests_running" not in _samples(service)
        service.wait_until_ready()
        wait_until(
            lambda: "vllm:num_requests_running" in _samples(service),
            "the new process's metrics",
            service.log_file,
        )
        assert _processes(service)["API server"] != server
        assert _engine(service)["restarts"] == 1
