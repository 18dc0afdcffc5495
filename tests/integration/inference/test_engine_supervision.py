"""The service as a process of its own over a stub engine: crashes, ends, and what is left of either."""

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tandem_inference.engines.fleet import Fleet
from tandem_inference.engines.restart_policy import RestartPolicy
from tandem_inference.engines.supervised_engine import EngineState, SupervisedEngine, SupervisionLimits
from tests.support.inference_service import (
    STUB_ENGINE,
    RunningService,
    declared_engine,
    inference_service,
    wait_until,
)
from tests.support.ports import free_port, free_ports

CHAT: dict[str, Any] = {"model": "smollm2-135m-instruct", "messages": [{"role": "user", "content": "hi Ada"}]}


def _events(service: RunningService, name: str) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in service.log.splitlines() if line.startswith("{")]
    return [record for record in records if record["event"] == name]


def _engine_pids(service: RunningService) -> list[int]:
    """The keepers and, where the stub was told to start them, its children."""
    keepers = [event["pid"] for event in _events(service, "engine.starting")]
    lines = [event["line"] for event in _events(service, "engine.log")]
    children = [int(m.group(1)) for line in lines if (m := re.fullmatch(r"child process (\d+)", line))]
    return keepers + children


def _running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _wait_until_gone(service: RunningService, pids: list[int]) -> None:
    wait_until(lambda: not any(map(_running, pids)), f"processes {pids} to be gone", service.log_file)


def test_answers_come_back_after_the_engine_has_crashed(tmp_path: Path) -> None:
    with inference_service(tmp_path) as service:
        service.wait_until_ready()
        with pytest.raises(httpx.TransportError):
            httpx.post(service.engine_url + "/stub/exit")
        service.wait_until_not_ready()
        refused = httpx.post(service.url + "/v1/chat/completions", json=CHAT)
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "engine_not_ready"
        assert int(refused.headers["retry-after"]) > 0

        service.wait_until_ready()
        answer = httpx.post(service.url + "/v1/chat/completions", json=CHAT).json()
        assert answer["choices"][0]["message"]["content"] == "You said: hi Ada"
        restarts = re.search(
            r"^tandem_engine_restarts_total\{.*\} (\S+)$",
            httpx.get(service.url + "/metrics").text,
            re.MULTILINE,
        )
        assert restarts is not None
        assert float(restarts.group(1)) == 1


def test_a_stream_ends_with_an_error_event_when_the_engine_is_killed(tmp_path: Path) -> None:
    with inference_service(tmp_path, engine_flags=("--token-delay-seconds", "0.05")) as service:
        service.wait_until_ready()
        body = CHAT | {"stream": True, "ignore_eos": True, "max_tokens": 2000}
        events = []
        with httpx.stream("POST", service.url + "/v1/chat/completions", json=body, timeout=30) as answer:
            assert answer.status_code == 200
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    events.append(json.loads(line.removeprefix("data: ")))
                if len(events) == 3:
                    os.killpg(_engine_pids(service)[0], signal.SIGKILL)
        assert events[-1]["error"]["code"] == "engine_not_ready"
        assert all("choices" in event for event in events[:-1])


async def test_an_engine_that_keeps_crashing_is_given_up_with_the_reason(tmp_path: Path) -> None:
    program = ("/bin/sh", "-c", "echo 'Error: no weights'; exit 3")
    limits = SupervisionLimits(program=program, start_timeout_seconds=10, stop_grace_seconds=1)
    engine = SupervisedEngine(declared_engine(), free_port(), limits, RestartPolicy(first_delay_seconds=0.01))
    async with asyncio.timeout(30):
        await engine.run()
    assert engine.state is EngineState.FAILED
    assert engine.restarts == 4
    assert engine.last_error is not None
    assert "exit code 3" in engine.last_error
    assert "Error: no weights" in engine.last_error
    assert engine.settled.is_set()


async def test_an_engine_that_never_answers_is_stopped_and_counted_as_crashed(tmp_path: Path) -> None:
    program = (sys.executable, "-c", "import time; time.sleep(600)")
    limits = SupervisionLimits(program=program, start_timeout_seconds=0.2, stop_grace_seconds=1)
    engine = SupervisedEngine(declared_engine(), free_port(), limits, RestartPolicy(first_delay_seconds=0.01))
    async with asyncio.timeout(30):
        await engine.run()
    assert engine.state is EngineState.FAILED
    assert "did not answer" in str(engine.last_error)


async def test_engines_start_one_after_another(tmp_path: Path) -> None:
    program = (sys.executable, str(STUB_ENGINE), "--start-delay-seconds", "0.5")
    limits = SupervisionLimits(program=program, start_timeout_seconds=30, stop_grace_seconds=2)
    ports = free_ports(2)
    first, second = (
        SupervisedEngine(declared_engine(name=name), port, limits)
        for name, port in zip(("one", "two"), ports, strict=True)
    )
    fleet = Fleet([first, second])
    running = asyncio.create_task(fleet.run())
    try:
        async with asyncio.timeout(30):
            await first.settled.wait()
            assert (first.state, second.state) == (EngineState.READY, EngineState.STARTING)
            await second.settled.wait()
        assert fleet.first_not_ready() is None
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert {first.state, second.state} == {EngineState.STOPPED}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_service_with_success_and_leaves_no_process(
    tmp_path: Path, how: signal.Signals
) -> None:
    with inference_service(tmp_path, engine_flags=("--child-process",)) as service:
        service.wait_until_ready()
        pids = _engine_pids(service)
        assert len(pids) == 2
        service.process.send_signal(how)
        assert service.process.wait(30) == 0
        _wait_until_gone(service, pids)


def test_no_engine_process_outlives_a_service_that_is_killed(tmp_path: Path) -> None:
    with inference_service(tmp_path, engine_flags=("--child-process",)) as service:
        service.wait_until_ready()
        pids = _engine_pids(service)
        assert len(pids) == 2
        service.process.kill()
        _wait_until_gone(service, pids)


def test_no_child_of_a_crashed_engine_is_left(tmp_path: Path) -> None:
    with inference_service(tmp_path, engine_flags=("--child-process",)) as service:
        service.wait_until_ready()
        pids = _engine_pids(service)
        with pytest.raises(httpx.TransportError):
            httpx.post(service.engine_url + "/stub/exit")
        _wait_until_gone(service, pids)


def test_a_taken_port_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    with inference_service(tmp_path / "first") as first:
        first.wait_until_ready()
        port = first.engine_url.rsplit(":", 1)[1]
        environment = {"TANDEM_INFERENCE_ENGINE_FIRST_PORT": port}
        with inference_service(tmp_path / "second", environment=environment) as second:
            assert second.process.wait(30) == 2
            assert f"port {port}" in second.log
            assert "TANDEM_INFERENCE_ENGINE_FIRST_PORT" in second.log


def test_the_trace_of_a_caller_goes_on_through_the_gateway_to_the_engine(tmp_path: Path) -> None:
    spans_file = tmp_path / "spans.jsonl"
    with inference_service(tmp_path, environment={"TANDEM_TRACE_FILE": str(spans_file)}) as service:
        service.wait_until_ready()
        trace_id = "0af7651916cd43dd8448eb211c80319c"
        headers = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
        httpx.post(service.url + "/v1/chat/completions", json=CHAT, headers=headers)
        asked = httpx.get(service.engine_url + "/stub/requests").json()[-1]
    spans = [json.loads(line) for line in spans_file.read_text().splitlines()]
    (server,) = [
        s for s in spans if s["kind"] == "SpanKind.SERVER" and s["context"]["trace_id"] == f"0x{trace_id}"
    ]
    (client,) = [s for s in spans if s["parent_id"] == server["context"]["span_id"]]
    assert server["parent_id"] == "0xb7ad6b7169203331"
    assert asked["headers"]["traceparent"].split("-")[1:3] == [
        trace_id,
        client["context"]["span_id"].removeprefix("0x"),
    ]
