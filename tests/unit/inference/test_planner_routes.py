"""The planner's and the operator's addresses on the real app: open or guarded as documented, errors in their path's shape."""

from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from tandem_inference.bootstrap import Service, build_admissions
from tandem_inference.engines.fleet import Fleet
from tandem_inference.entrypoints.http.app import create_app
from tandem_inference.gateway.engine_http import EngineHttp
from tandem_inference.settings import InferenceSettings
from tests.unit.inference.conftest import Gateway

TOKEN = "a-token-of-the-service"
ASKED: dict[str, Any] = {"model_name": "meta-llama/Llama-2-7b", "max_seq_len": 2048}
PLAN: dict[str, Any] = {
    "gpu": "L4",
    "engines": [{"name": "chat", "model": "Qwen/Qwen2.5-7B-Instruct-AWQ", "max_model_len": 8192}],
}


async def test_the_service_answers_the_published_memory_api(gateway: Gateway) -> None:
    answer = await gateway.client.post("/estimate-gpu-memory", json=ASKED)
    assert answer.status_code == 200
    found = answer.json()
    parts = ("model_params_memory_gb", "activation_memory_gb", "max_kv_cache_memory_gb", "cuda_overhead_gb")
    assert found["total_max_memory_gb"] == pytest.approx(sum(found[part] for part in parts), abs=0.011)
    assert "meta-llama/Llama-2-7b-hf" in (await gateway.client.get("/known-architectures")).json()
    assert (await gateway.client.get("/")).json()["example_request"]["max_seq_len"] == 2048


async def test_the_service_plans_engines_on_a_card_it_knows(gateway: Gateway) -> None:
    cards = (await gateway.client.get("/gpus")).json()["gpus"]
    assert PLAN["gpu"] in [card["id"] for card in cards]
    plan = (await gateway.client.post("/plan", json=PLAN)).json()
    assert plan["fits"] is True
    assert [engine["name"] for engine in plan["engines"]] == ["chat"]


async def test_a_browser_gets_the_page_and_a_program_the_description(gateway: Gateway) -> None:
    page = await gateway.client.get("/", headers={"accept": "text/html,*/*"})
    assert page.headers["content-type"].startswith("text/html")
    assert (await gateway.client.get("/planner/page.js")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nothing-here", None, 404),
        ("GET", "/estimate-gpu-memory", None, 405),
        ("POST", "/gpus", {}, 405),
        ("POST", "/estimate-gpu-memory", ASKED | {"max_seq_len": 0}, 400),
        ("POST", "/plan", PLAN | {"gpu": "abacus"}, 400),
    ],
)
async def test_mistakes_beside_the_openai_addresses_are_problem_documents(
    gateway: Gateway, method: str, path: str, body: Any, status: int
) -> None:
    answer = await gateway.client.request(method, path, json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["status"], answer.json()["instance"]) == (status, path)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing-here", 404), ("GET", "/v1/chat/completions", 405), ("GET", "/tokenize", 405)],
)
async def test_mistakes_under_the_openai_addresses_keep_their_shape(
    gateway: Gateway, method: str, path: str, status: int
) -> None:
    answer = await gateway.client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


async def test_a_body_larger_than_any_plan_needs_is_refused(gateway: Gateway) -> None:
    body = b'{"model_name": "' + b"x" * 2_000_000 + b'"}'
    answer = await gateway.client.post("/estimate-gpu-memory", content=body)
    assert answer.status_code == 413
    assert answer.json()["code"] == "request_too_large"


async def test_operators_need_the_token_and_calculating_does_not(gateway: Gateway) -> None:
    settings = InferenceSettings(_env_file=None, service_token=SecretStr(TOKEN))
    admissions = build_admissions(settings, [gateway.engine.declared])
    app = create_app(settings, Service(Fleet([gateway.engine]), EngineHttp(), admissions))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        refused = await client.get("/engines")
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.headers["content-type"] == "application/problem+json"
        allowed = await client.get("/engines", headers={"authorization": f"Bearer {TOKEN}"})
        assert allowed.json()["engines"][0]["name"] == "stub"
        assert (await client.post("/estimate-gpu-memory", json=ASKED)).status_code == 200
        assert (await client.get("/gpus")).status_code == 200
