"""Requests among several engines: each under its own address, copies of one model, and engines that die and come back."""

import asyncio
from typing import Any

import httpx
import pytest

from tandem_inference.engines.declaration import Engine
from tandem_inference.engines.supervised_engine import EngineState
from tandem_inference.gateway.admission.ticket import Ticket
from tandem_inference.gateway.request_class import RequestClass
from tandem_inference.settings import InferenceSettings
from tests.support.eventually import eventually
from tests.support.inference_service import declared_engine
from tests.unit.inference.conftest import Gateway

CHAT: dict[str, Any] = {"model": "alpha", "messages": [{"role": "user", "content": "hi"}]}
PATH = "/v1/chat/completions"


@pytest.fixture
def settings() -> InferenceSettings:
    return InferenceSettings(_env_file=None, interactive_longest_wait_seconds=20)


@pytest.fixture
def declared() -> list[Engine]:
    """Two copies of alpha on the ports 1 and 2, and beta on 3."""
    return [
        declared_engine(name="one", model="alpha"),
        declared_engine(name="two", model="alpha"),
        declared_engine(name="three", model="beta"),
    ]


def _ports(gateway: Gateway) -> list[int | None]:
    return [request.url.port for request in gateway.asked if request.method == "POST"]


@pytest.mark.parametrize("path", [PATH, "/v1/completions", "/v1/embeddings", "/tokenize"])
async def test_each_engine_answers_under_its_own_address(gateway: Gateway, path: str) -> None:
    answer = await gateway.client.post("/engines/two" + path, json=CHAT)
    assert answer.status_code == 200
    assert [(request.url.port, request.url.path) for request in gateway.asked] == [(2, path)]


async def test_an_unknown_engine_is_404_with_the_known_ones(gateway: Gateway) -> None:
    for answer in (
        await gateway.client.post("/engines/four" + PATH, content=b"not even JSON"),
        await gateway.client.get("/engines/four/v1/models"),
    ):
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "engine_not_found"
        assert "one, two, three" in answer.json()["error"]["message"]


async def test_a_model_of_another_engine_is_404_with_those_of_this_one(gateway: Gateway) -> None:
    answer = await gateway.client.post("/engines/three" + PATH, json=CHAT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert answer.json()["error"]["message"].endswith("Known models: beta.")
    assert gateway.asked == []


@pytest.mark.parametrize("path", ["/v1/nothing", "/detokenize", "/engines/one/v1/nothing"])
async def test_what_is_not_on_the_list_is_404(gateway: Gateway, path: str) -> None:
    assert (await gateway.client.post(path, json=CHAT)).status_code == 404
    assert gateway.asked == []


async def test_models_are_listed_once_each_for_all_engines_and_for_one(gateway: Gateway) -> None:
    listed = [
        (await gateway.client.get(prefix + "/v1/models")).json()["data"] for prefix in ("", "/engines/one")
    ]
    assert [[card["id"] for card in cards] for cards in listed] == [["alpha", "beta"], ["alpha"]]


async def test_the_copy_with_more_free_slots_is_asked(gateway: Gateway) -> None:
    await gateway.admissions["one"].enter(Ticket(RequestClass.BACKGROUND), 1)
    await gateway.client.post(PATH, json=CHAT)
    assert _ports(gateway) == [2]


async def test_a_copy_that_is_not_ready_is_passed_over(gateway: Gateway) -> None:
    gateway.engines[0].state = EngineState.RESTARTING
    await gateway.client.post(PATH, json=CHAT)
    assert _ports(gateway) == [2]


def _only(port: int) -> Any:
    """An engine answers on `port`; the others refuse connections."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.port == port:
            return httpx.Response(200, json={"answered": port})
        raise httpx.ConnectError("refused", request=request)

    return answer


async def test_another_copy_answers_when_the_first_dies_before_it_has_answered(gateway: Gateway) -> None:
    gateway.answer = _only(2)
    answer = await gateway.client.post(PATH, json=CHAT)
    assert answer.json() == {"answered": 2}
    assert _ports(gateway) == [1, 2]
    assert {name: door.snapshot().free for name, door in gateway.admissions.items()} == {
        "one": 16,
        "two": 16,
        "three": 16,
    }


async def test_nothing_is_tried_a_third_time(gateway: Gateway) -> None:
    gateway.answer = _only(3)
    answer = await gateway.client.post(PATH, json=CHAT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_not_ready")
    assert _ports(gateway) == [1, 2]


async def test_the_same_engine_is_asked_again_once_it_is_back(gateway: Gateway) -> None:
    gateway.answer = _only(1)
    call = asyncio.create_task(gateway.client.post("/engines/three" + PATH, json=CHAT | {"model": "beta"}))
    await eventually("it was asked", lambda: _ports(gateway) == [3], seconds=20)
    gateway.answer = _only(3)
    answer = await call
    assert answer.json() == {"answered": 3}
    assert _ports(gateway) == [3, 3]


async def test_an_engine_that_is_given_up_while_a_request_waits_for_it_is_503(gateway: Gateway) -> None:
    gateway.answer = _only(1)
    call = asyncio.create_task(gateway.client.post(PATH, json=CHAT | {"model": "beta"}))
    await eventually("it was asked", lambda: _ports(gateway) == [3], seconds=20)
    gateway.engines[2]._enter(EngineState.FAILED)
    answer = await call
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_not_ready")
    assert gateway.admissions["three"].snapshot().free == 16
