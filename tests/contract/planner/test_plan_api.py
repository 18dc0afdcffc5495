"""`POST /plan`, `GET /gpus` and the page's files, as a program and a browser see them."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tandem_inference.planner.http import planner_router
from tandem_inference.planner.http.standalone import create_app

ENGINES: list[dict[str, Any]] = [
    {"name": "chat", "model": "Qwen/Qwen2.5-7B-Instruct-AWQ", "max_model_len": 8192, "max_num_seqs": 32},
    {"name": "feedback", "model": "Qwen/Qwen2.5-3B-Instruct", "max_model_len": 4096, "max_num_seqs": 16},
]


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(create_app())


def test_a_plan_gives_shares_order_flags_and_terms(client: TestClient) -> None:
    found = client.post("/plan", json={"gpu": "L4", "engines": ENGINES}).json()
    assert found["fits"]
    assert sorted(found["start_order"]) == ["chat", "feedback"]
    for one in found["engines"]:
        assert "--gpu-memory-utilization" in one["flags"]
        assert one["command"].startswith("vllm serve ")
        assert {term["name"] for term in one["estimate"]["terms"]} >= {"weights", "kv_cache"}


def test_a_plan_that_does_not_fit_is_an_answer_and_no_error(client: TestClient) -> None:
    big = {"name": "big", "model": "meta-llama/Llama-3.1-70B", "max_model_len": 8192}
    answer = client.post("/plan", json={"gpu": "L4", "engines": [big]})
    assert answer.status_code == 200
    assert answer.json()["fits"] is False
    assert answer.json()["refusal"]
    assert answer.json()["engines"][0]["reason"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "engines: is required"),
        ({"engines": []}, "engines"),
        ({"engines": ENGINES, "gpu": "abacus"}, "gpu must be one of"),
        ({"engines": ENGINES, "profile": "reckless"}, "profile"),
        ({"engines": [{"name": "a", "model": "gpt-4"}]}, "closed model"),
        ({"engines": [{"name": "a", "model": "../../etc/passwd"}]}, "not in the catalogue"),
        ({"engines": [{"name": "a", "model": "/etc/passwd"}]}, "not in the catalogue"),
        ({"engines": [{"name": "a", "model": "Qwen/Qwen3-8B", "block_size": 8}]}, "block_size"),
        ({"engines": [{"name": "a", "model": "Qwen/Qwen3-8B", "dtype": "int3"}]}, "dtype"),
        ({"engines": [{"name": "a", "model": "Qwen/Qwen3-8B", "kv_cache_bytes": "lots"}]}, "kv_cache_bytes"),
        ({"engines": []}, "engines: must not be empty"),
        ({"engines": [1]}, "engines.0: must be an object"),
        ({"engines": [{"name": "a"}]}, "engines.0.model: is required"),
        (
            {"engines": [{"name": "a", "model": "Qwen/Qwen3-8B", "max_num_seqs": 0}]},
            "must be at least 1; got 0",
        ),
        ({"engines": ENGINES, "vllm_version": "x.y"}, "vllm_version"),
        ({"engines": ENGINES, "memory_in_use_gib": -1}, "memory_in_use_gib"),
    ],
)
def test_a_wrong_plan_request_is_refused_by_name(
    client: TestClient, body: dict[str, Any], words: str
) -> None:
    answer = client.post("/plan", json=body)
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["detail"]


def test_cards_are_given_as_cuda_sees_them(client: TestClient) -> None:
    cards = {one["id"]: one for one in client.get("/gpus").json()["gpus"]}
    wanted = {
        "L4",
        "T4",
        "A10",
        "A100-40GB",
        "A100-80GB",
        "L40S",
        "H100",
        "H200",
        "RTX3090",
        "RTX4090",
        "RTX5090",
    }
    assert wanted <= cards.keys()
    assert cards["L4"]["cuda_total_gib"] == 22.03
    assert all(one["source"] for one in cards.values())
    assert all(one["cuda_total_gib"] < one["nameplate_gb"] for one in cards.values())


def test_a_browser_gets_the_page_and_a_program_the_description(client: TestClient) -> None:
    page = client.get("/", headers={"Accept": "text/html,application/xhtml+xml"})
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src" not in page.text
    assert client.get("/").headers["content-type"] == "application/json"


@pytest.mark.parametrize("name", ["", "/page.css", "/page.js", "/bar.js"])
def test_the_pages_files_are_served_with_a_strict_policy(client: TestClient, name: str) -> None:
    answer = client.get(f"/planner{name}")
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("name", ["secret.txt", "..%2Frouter.py", "index.html%00"])
def test_no_other_file_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/planner/{name}").status_code == 404


def test_the_root_can_be_left_to_the_application() -> None:
    app = FastAPI()
    app.include_router(planner_router(root=False))
    assert TestClient(app).get("/").status_code == 404
