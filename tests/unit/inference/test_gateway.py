"""What callers of the OpenAI-compatible face get, and what the engine gets of it."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tandem_inference.engines.supervised_engine import EngineState
from tandem_inference.settings import InferenceSettings
from tests.unit.inference.conftest import Gateway

CHAT: dict[str, Any] = {"model": "alpha", "messages": [{"role": "user", "content": "hi"}]}
PATH = "/v1/chat/completions"


async def test_the_engine_answer_comes_back_byte_for_byte(gateway: Gateway) -> None:
    pieces = [b'data: {"a": "\xc3', b'\xa9"}\n', b"\ndata: [DONE]\n\n"]

    async def stream() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    headers = {"content-type": "text/event-stream; charset=utf-8"}
    gateway.answer = lambda _: httpx.Response(200, content=stream(), headers=headers)
    answer = await gateway.client.post(PATH, json=CHAT | {"stream": True})
    assert answer.content == b"".join(pieces)
    assert answer.headers["content-type"] == headers["content-type"]


async def test_all_fields_of_the_caller_reach_the_engine(gateway: Gateway) -> None:
    fields = {"temperature": 0.5, "chat_template_kwargs": {"x": [1, None]}, "unknown": "é", "n": 2}
    await gateway.client.post(PATH, json=CHAT | fields)
    assert gateway.asked_bodies == [CHAT | fields | {"priority": 0}]


@pytest.mark.parametrize(
    ("headers", "priority"),
    [({}, 0), ({"X-Tandem-Class": "interactive"}, 0), ({"x-tandem-class": "background"}, 10)],
)
@pytest.mark.parametrize("path", [PATH, "/v1/completions"])
async def test_the_class_decides_the_priority_whatever_the_caller_says(
    gateway: Gateway, path: str, headers: dict[str, str], priority: int
) -> None:
    await gateway.client.post(path, json=CHAT | {"priority": -999}, headers=headers)
    assert gateway.asked_bodies[0]["priority"] == priority


async def test_tokenize_is_passed_on_without_a_priority(gateway: Gateway) -> None:
    await gateway.client.post("/tokenize", json=CHAT)
    assert gateway.asked[0].url.path == "/tokenize"
    assert gateway.asked_bodies == [CHAT]


async def test_an_unknown_class_is_refused_with_the_known_ones(gateway: Gateway) -> None:
    answer = await gateway.client.post(PATH, json=CHAT, headers={"X-Tandem-Class": "urgent"})
    assert answer.status_code == 400
    assert "interactive or background" in answer.json()["error"]["message"]
    assert gateway.asked == []


async def test_an_unknown_model_is_404_with_the_list_of_known_ones(gateway: Gateway) -> None:
    answer = await gateway.client.post(PATH, json=CHAT | {"model": "beta"})
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "'beta'" in error["message"]
    assert "alpha" in error["message"]


async def test_an_error_of_the_engine_comes_back_as_it_is(gateway: Gateway) -> None:
    refusal = {"error": {"message": "max_tokens: too many", "code": 400}}
    gateway.answer = lambda _: httpx.Response(400, json=refusal)
    answer = await gateway.client.post(PATH, json=CHAT)
    assert (answer.status_code, answer.json()) == (400, refusal)


@pytest.mark.parametrize(
    "state", [EngineState.STARTING, EngineState.RESTARTING, EngineState.FAILED, EngineState.STOPPED]
)
async def test_an_engine_that_is_not_ready_is_503_with_a_time_to_come_back(
    gateway: Gateway, state: EngineState
) -> None:
    gateway.engine.state = state
    gateway.engine.last_error = "it ended with exit code 3"
    answer = await gateway.client.post(PATH, json=CHAT)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["error"]["code"] == "engine_not_ready"
    assert state.value in answer.json()["error"]["message"]

    ready = await gateway.client.get("/ready")
    assert ready.status_code == 503
    assert int(ready.headers["retry-after"]) > 0
    assert ready.headers["content-type"] == "application/problem+json"
    assert ready.json()["code"] == "engine_not_ready"
    assert "it ended with exit code 3" in ready.json()["detail"]
    assert (await gateway.client.get("/health")).status_code == 200
    assert (await gateway.client.get("/v1/models")).json()["data"][0]["id"] == "alpha"


def _refuse_connection(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def _die_unnoticed(request: httpx.Request) -> httpx.Response:
    return httpx.Response(500, json={"error": {"message": "EngineCore encountered an issue. See above"}})


@pytest.mark.parametrize("answer", [_refuse_connection, _die_unnoticed])
async def test_an_engine_that_dies_before_the_first_byte_is_503(gateway: Gateway, answer: Any) -> None:
    gateway.answer = answer
    refused = await gateway.client.post(PATH, json=CHAT)
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "engine_not_ready"
    assert "retry-after" in refused.headers


async def test_an_engine_that_dies_inside_a_whole_answer_is_503(gateway: Gateway) -> None:
    async def cut() -> AsyncIterator[bytes]:
        yield b'{"half": '
        raise httpx.ReadError("gone")

    gateway.answer = lambda _: httpx.Response(
        200, content=cut(), headers={"content-type": "application/json"}
    )
    assert (await gateway.client.post(PATH, json=CHAT)).status_code == 503


async def test_an_engine_that_dies_inside_a_stream_ends_it_with_an_error_event(gateway: Gateway) -> None:
    async def cut() -> AsyncIterator[bytes]:
        yield b'data: {"piece": 1}\n\n'
        yield b'data: {"pie'
        raise httpx.ReadError("gone")

    gateway.answer = lambda _: httpx.Response(
        200, content=cut(), headers={"content-type": "text/event-stream"}
    )
    answer = await gateway.client.post(PATH, json=CHAT | {"stream": True})
    events = [event for event in answer.text.split("\n\n") if event.startswith("data: ")]
    assert events[0] == 'data: {"piece": 1}'
    assert json.loads(events[-1].removeprefix("data: "))["error"]["code"] == "engine_not_ready"
    assert "[DONE]" not in answer.text


MALFORMED: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 400),
    "no json": (b"hello", 400),
    "cut off": (b'{"model": "alpha", "messages": [', 400),
    "not utf-8": (b'{"model": "\xff\xfe"}', 400),
    "a list": (b"[1, 2]", 400),
    "a string": (b'"alpha"', 400),
    "null": (b"null", 400),
    "not a number": (b'{"model": "alpha", "temperature": NaN}', 400),
    "endless number": (b'{"model": "alpha", "seed": ' + b"9" * 4000 + b"}", 200),  # the engine's to judge
    "too many digits": (b'{"model": "alpha", "seed": ' + b"9" * 5000 + b"}", 413),
    "nested": (b"[" * 4000, 400),
    "half a surrogate": (b'{"model": "alpha", "prompt": "\\ud800"}', 400),
    "no model": (b"{}", 400),
    "model is null": (b'{"model": null}', 400),
    "model is a number": (b'{"model": 7}', 400),
    "model is empty": (b'{"model": ""}', 400),
    "model is a list": (b'{"model": ["alpha"]}', 400),
    "too large": (b'{"model": "alpha", "prompt": "' + b"x" * 5000 + b'"}', 413),
}


@pytest.mark.parametrize("path", [PATH, "/v1/completions", "/tokenize"])
@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_input_is_told_in_the_error_shape_of_openai(
    gateway: Gateway, path: str, name: str
) -> None:
    content, status = MALFORMED[name]
    answer = await gateway.client.post(path, content=content)
    assert answer.status_code == status
    if status != 200:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert gateway.asked == []


@given(
    content=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(lambda value: json.dumps(value).encode())
)
@hypothesis_settings(
    max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
async def test_no_input_makes_the_gateway_fail(gateway: Gateway, content: bytes) -> None:
    answer = await gateway.client.post(PATH, content=content)
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", PATH, 405), ("GET", "/v1/nothing", 404), ("PUT", "/tokenize", 405)]
)
async def test_unknown_paths_of_the_compatible_face_answer_in_its_shape(
    gateway: Gateway, method: str, path: str, status: int
) -> None:
    answer = await gateway.client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


async def test_unknown_paths_elsewhere_are_problem_documents(gateway: Gateway) -> None:
    answer = await gateway.client.get("/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"


class TestWithServiceToken:
    TOKEN = "a-token-of-the-service"

    @pytest.fixture
    def settings(self) -> InferenceSettings:
        return InferenceSettings(_env_file=None, service_token=self.TOKEN, host="0.0.0.0")

    @pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic é"}])
    @pytest.mark.parametrize("path", [PATH, "/v1/completions", "/tokenize"])
    async def test_callers_without_the_token_are_kept_out(
        self, gateway: Gateway, path: str, headers: dict[str, str]
    ) -> None:
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        answer = await gateway.client.post(path, json=CHAT, headers=encoded)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
        assert gateway.asked == []
        assert (await gateway.client.get("/v1/models", headers=encoded)).status_code == 401

    async def test_callers_with_the_token_are_served_and_the_engine_never_sees_it(
        self, gateway: Gateway
    ) -> None:
        headers = {"Authorization": f"Bearer {self.TOKEN}"}
        assert (await gateway.client.post(PATH, json=CHAT, headers=headers)).status_code == 200
        assert "authorization" not in gateway.asked[0].headers

    async def test_probes_need_no_token(self, gateway: Gateway) -> None:
        for path in ("/health", "/ready", "/metrics"):
            assert (await gateway.client.get(path)).status_code == 200
