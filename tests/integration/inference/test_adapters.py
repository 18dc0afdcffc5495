"""Adapters as declared: loaded, proved, restored after a crash, added and removed while requests run."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.engine_fleet import adapter_folder, chat, running, stub_engines
from tests.support.eventually import eventually
from tests.support.inference_service import RunningService, declared_engine, inference_service, wait_until

BASE = "smollm2-135m-instruct"
TOKEN = "a-token-of-the-service"


def _fields(*names: str) -> str:
    adapters = ", ".join(f"{{name: {name}, model: ./{name}}}" for name in names)
    return f"model: ./model, max_lora_rank: 16, adapters: [{adapters}]"


def _ask(service: RunningService, model: str) -> httpx.Response:
    return httpx.post(service.url + "/v1/chat/completions", json=chat(model), timeout=30)


def _engine(service: RunningService) -> dict[str, Any]:
    (engine,) = httpx.get(service.url + "/engines").json()["engines"]
    return dict(engine)


def _states(service: RunningService) -> dict[str, str]:
    return {one["name"]: one["state"] for one in _engine(service)["models"] if one["kind"] == "adapter"}


def _until(service: RunningService, states: dict[str, str]) -> None:
    wait_until(lambda: _states(service) == states, f"adapters to be {states}", service.log_file)


def _edit(folder: Path, change: Callable[[str], str]) -> None:
    file = folder / "engines.yaml"
    file.write_text(change(file.read_text()))


def test_adapters_are_back_after_the_engine_was_killed(tmp_path: Path) -> None:
    for name in ("formal", "brief"):
        adapter_folder(tmp_path, name)
    with inference_service(tmp_path, engine_fields=_fields("formal", "brief")) as service:
        service.wait_until_ready()
        _until(service, {"formal": "ready", "brief": "ready"})
        assert {_ask(service, model).json()["model"] for model in (BASE, "formal", "brief")} == {
            BASE,
            "formal",
            "brief",
        }
        killed = _engine(service)["pid"]
        os.killpg(killed, signal.SIGKILL)
        wait_until(lambda: _engine(service)["pid"] not in {None, killed}, "a new life", service.log_file)
        service.wait_until_ready()
        assert _ask(service, "formal").status_code == 200  # waits for the adapter, if need be
        _until(service, {"formal": "ready", "brief": "ready"})


def test_a_bad_adapter_is_reported_and_nothing_else_suffers(tmp_path: Path) -> None:
    adapter_folder(tmp_path, "formal", broken=True)
    adapter_folder(tmp_path, "brief")
    with inference_service(tmp_path, engine_fields=_fields("formal", "brief")) as service:
        service.wait_until_ready()
        _until(service, {"formal": "failed", "brief": "ready"})
        refused = _ask(service, "formal")
        assert refused.status_code == 503
        assert "deserializing" in refused.json()["error"]["message"]
        assert _ask(service, BASE).status_code == _ask(service, "brief").status_code == 200
        assert _engine(service)["restarts"] == 0


def test_the_paths_that_change_adapters_are_not_relayed(tmp_path: Path) -> None:
    adapter_folder(tmp_path, "formal")
    with inference_service(tmp_path, engine_fields=_fields("formal")) as service:
        service.wait_until_ready()
        _until(service, {"formal": "ready"})
        for path in ("/v1/unload_lora_adapter", "/engines/stub/v1/unload_lora_adapter", "/sleep", "/wake_up"):
            assert httpx.post(service.url + path, json={"lora_name": "formal"}).status_code == 404
        assert _ask(service, "formal").status_code == 200


def test_sighup_adds_and_removes_adapters_and_running_answers_end_well(tmp_path: Path) -> None:
    for name in ("formal", "brief"):
        adapter_folder(tmp_path, name)
    flags = ("--token-delay-seconds", "0.05")
    with inference_service(tmp_path, engine_flags=flags, engine_fields=_fields("formal")) as service:
        service.wait_until_ready()
        _until(service, {"formal": "ready"})
        body = chat("formal") | {"stream": True, "ignore_eos": True, "max_tokens": 40}
        with httpx.stream("POST", service.url + "/v1/chat/completions", json=body, timeout=30) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("data: ")
            _edit(tmp_path, lambda text: text.replace("formal", "brief"))
            service.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "engines.reloaded" in service.log, "the reload", service.log_file)
            assert _states(service)["formal"] == "draining"
            assert _ask(service, "formal").status_code == 404
            rest = [line.removeprefix("data: ") for line in lines if line]
        assert rest[-1] == "[DONE]"
        assert not any("error" in json.loads(line) for line in rest[:-1])
        _until(service, {"brief": "ready"})
        assert _ask(service, "brief").json()["model"] == "brief"
        removed = [line for line in service.log.splitlines() if '"adapter.removed"' in line]
        assert ['"drained": true' in line for line in removed] == [True]


def test_a_reload_tells_what_it_did_and_what_waits_for_a_restart(tmp_path: Path) -> None:
    for name in ("formal", "brief"):
        adapter_folder(tmp_path, name)
    environment = {"TANDEM_INFERENCE_SERVICE_TOKEN": TOKEN}
    with inference_service(tmp_path, engine_fields=_fields("formal"), environment=environment) as service:
        service.wait_until_ready()
        url, header = service.url + "/engines/reload", {"Authorization": f"Bearer {TOKEN}"}
        assert httpx.post(url).status_code == 401

        _edit(
            tmp_path,
            lambda text: text.replace("max_num_seqs: 16", "max_num_seqs: 8").replace("formal", "brief"),
        )
        done = httpx.post(url, headers=header)
        assert done.status_code == 200
        assert done.json()["engines"] == [
            {
                "engine": "stub",
                "adapters_added": ["brief"],
                "adapters_removed": ["formal"],
                "needs_restart": ["max_num_seqs"],
            }
        ]

        _edit(tmp_path, lambda text: text.replace("max_num_seqs: 8", "max_num_seqs: 0"))
        refused = httpx.post(url, headers=header)
        assert refused.status_code == 422
        problem = refused.json()
        assert problem["code"] == "invalid_engines_file"
        assert [error["field"] for error in problem["errors"]] == ["line 2"]
        assert "max_num_seqs" in problem["errors"][0]["message"]
        answer = httpx.post(
            service.url + "/v1/chat/completions", json=chat("brief"), headers=header, timeout=30
        )
        assert answer.status_code == 200


async def test_an_adapter_under_an_old_name_is_replaced_once_the_old_one_is_done(tmp_path: Path) -> None:
    old, new = adapter_folder(tmp_path, "old"), adapter_folder(tmp_path, "new")
    declared = declared_engine(adapters=[{"name": "formal", "model": str(old)}])
    (engine,) = stub_engines([declared])
    async with running([engine]):
        await engine.wait_until_ready(30, "formal")
        again = declared_engine(adapters=[{"name": "formal", "model": str(new)}])
        with engine.use("formal"):
            changes = engine.declare_adapters(again)
            assert (changes.added, changes.removed) == (("formal",), ("formal",))
            await asyncio.sleep(0)
            assert [one.state for one in engine.adapters.statuses] == ["loading", "draining"]
        await engine.wait_until_ready(30, "formal")
        assert [one.adapter.model for one in engine.adapters.statuses] == [str(new)]


async def test_an_engine_without_room_takes_its_first_adapter_with_its_next_start(tmp_path: Path) -> None:
    folder = adapter_folder(tmp_path, "formal")
    (engine,) = stub_engines([declared_engine()])
    async with running([engine]), httpx.AsyncClient(base_url=engine.base_url) as client:
        engine.declare_adapters(declared_engine(adapters=[{"name": "formal", "model": str(folder)}]))
        assert not engine.serves("formal")
        with pytest.raises(httpx.TransportError):
            await client.post("/stub/exit")
        await eventually("the adapter", lambda: "formal" in engine.names, seconds=30)
        await engine.wait_until_ready(30, "formal")


async def test_the_rank_that_an_adapter_needs_is_proposed(tmp_path: Path) -> None:
    folder = adapter_folder(tmp_path, "formal", rank=40)
    (engine,) = stub_engines([declared_engine(max_lora_rank=16)])
    async with running([engine]):
        engine.declare_adapters(declared_engine(adapters=[{"name": "formal", "model": str(folder)}]))
        (status,) = engine.adapters.statuses
        await eventually("the failure", lambda: status.reason, seconds=30)
        assert status.reason is not None
        assert "max_lora_rank: 64" in status.reason
