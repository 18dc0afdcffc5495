"""The published memory API, sentence by sentence: fields, defaults, arithmetic between fields, and its refusals."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tandem_inference.planner.http import planner_router

EXAMPLE: dict[str, Any] = {
    "model_name": "meta-llama/Llama-2-7b",
    "max_seq_len": 2048,
    "dtype": "float16",
    "max_batch_size": 32,
    "gpu_memory_utilization": 0.9,
    "quantization": None,
    "params_billions": None,
    "architecture": {
        "num_layers": 32,
        "hidden_size": 4096,
        "num_heads": 32,
        "head_dim": 128,
        "intermediate_size": 11008,
    },
}
FIELDS = {
    "model_name",
    "model_params_memory_gb",
    "activation_memory_gb",
    "min_kv_cache_memory_gb",
    "max_kv_cache_memory_gb",
    "cuda_overhead_gb",
    "total_min_memory_gb",
    "total_max_memory_gb",
    "recommended_memory_gb",
    "warning",
    "components_breakdown",
    "architecture_used",
}


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    app.include_router(planner_router())
    return TestClient(app)


def ask(client: TestClient, **changes: Any) -> dict[str, Any]:
    body = {name: value for name, value in {**EXAMPLE, **changes}.items() if value is not ...}
    answer = client.post("/estimate-gpu-memory", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(client: TestClient, **changes: Any) -> str:
    body = {name: value for name, value in {**EXAMPLE, **changes}.items() if value is not ...}
    answer = client.post("/estimate-gpu-memory", json=body)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["detail"])


def test_the_documented_request_is_answered_with_every_documented_field(client: TestClient) -> None:
    found = ask(client)
    assert found.keys() >= FIELDS
    assert found["components_breakdown"].keys() == {
        "model_params",
        "activation",
        "min_kv_cache",
        "max_kv_cache",
        "cuda_overhead",
    }
    assert found["architecture_used"].items() >= EXAMPLE["architecture"].items()
    assert found["warning"] is None


def test_the_numbers_are_the_true_ones_with_their_unit(client: TestClient) -> None:
    decimal, binary = ask(client), ask(client, unit="GiB")
    assert (decimal["model_params_memory_gb"], binary["model_params_memory_gb"]) == (13.48, 12.55)
    assert (decimal["min_kv_cache_memory_gb"], binary["min_kv_cache_memory_gb"]) == (0.27, 0.25)
    assert (decimal["max_kv_cache_memory_gb"], binary["max_kv_cache_memory_gb"]) == (34.36, 32.0)
    assert decimal["unit"].startswith("GB (10^9")
    assert binary["unit"].startswith("GiB (2^30")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"max_batch_size": 7},
        {"gpu_memory_utilization": 0.37},
        {"quantization": "Q4"},
        {"formula": "2025"},
    ],
)
def test_totals_and_recommendation_follow_from_the_other_fields(
    client: TestClient, changes: dict[str, Any]
) -> None:
    found = ask(client, **changes)
    parts = found["components_breakdown"]
    shared = parts["model_params"] + parts["activation"] + parts["cuda_overhead"]
    assert found["total_min_memory_gb"] == round(shared + parts["min_kv_cache"], 2)
    assert found["total_max_memory_gb"] == round(shared + parts["max_kv_cache"], 2)
    share = changes.get("gpu_memory_utilization", 0.9)
    assert found["recommended_memory_gb"] == round(found["total_max_memory_gb"] / share, 2)
    assert found["model_params_memory_gb"] == parts["model_params"]
    assert found["max_kv_cache_memory_gb"] == parts["max_kv_cache"]


def test_only_the_name_and_the_length_are_required(client: TestClient) -> None:
    short = client.post(
        "/estimate-gpu-memory", json={"model_name": "meta-llama/Llama-2-7b", "max_seq_len": 2048}
    )
    full = ask(client, architecture=...)
    assert short.status_code == 200
    assert short.json() == full
    assert "is required" in refused(client, max_seq_len=...)
    assert "is required" in refused(client, model_name=...)


def test_the_cache_grows_with_batch_and_length_and_defaults_to_the_sequence_length(
    client: TestClient,
) -> None:
    base = ask(client)["max_kv_cache_memory_gb"]
    assert ask(client, max_batch_size=64)["max_kv_cache_memory_gb"] == pytest.approx(2 * base, abs=0.01)
    assert ask(client, max_model_len=4096)["max_kv_cache_memory_gb"] == pytest.approx(2 * base, abs=0.01)
    assert ask(client, max_model_len=2048)["max_kv_cache_memory_gb"] == base


def test_the_cache_has_its_own_dtype_and_else_the_weights_one(client: TestClient) -> None:
    wide = ask(client, dtype="float32")
    assert wide["max_kv_cache_memory_gb"] == pytest.approx(2 * 34.36, abs=0.01)
    assert ask(client, dtype="float32", kv_cache_dtype="float16")["max_kv_cache_memory_gb"] == 34.36


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        ("float32", 26.9, 27.1),
        ("float16", 13.4, 13.6),
        ("bfloat16", 13.4, 13.6),
        ("int8", 6.7, 7.2),
        ("int4", 3.3, 4.0),
    ],
)
def test_every_dtype_is_supported(client: TestClient, dtype: str, low: float, high: float) -> None:
    assert low < ask(client, dtype=dtype)["model_params_memory_gb"] < high


@pytest.mark.parametrize(("method", "divisor"), [("Q8", 2), ("Q4", 4)])
def test_quantisation_shrinks_the_linear_layers(client: TestClient, method: str, divisor: int) -> None:
    plain = ask(client)["model_params_memory_gb"]
    found = ask(client, quantization=method)["model_params_memory_gb"]
    assert plain / divisor < found < 1.25 * plain / divisor


def test_grouped_heads_shrink_the_cache(client: TestClient) -> None:
    grouped = {**EXAMPLE["architecture"], "num_key_value_heads": 8}
    found = ask(client, architecture=grouped)
    assert found["max_kv_cache_memory_gb"] == pytest.approx(34.36 / 4, abs=0.01)
    assert found["architecture_used"]["num_key_value_heads"] == 8


def test_the_old_rule_is_kept_for_comparison(client: TestClient) -> None:
    found = ask(client, formula="2025")
    assert list(found["components_breakdown"].values()) == [13.69, 134.0, 0.25, 32.0, 0.75]
    assert (found["total_min_memory_gb"], found["total_max_memory_gb"]) == (148.69, 180.44)
    assert found["recommended_memory_gb"] == 200.49
    assert found["warning"]
    quantised = ask(client, formula="2025", quantization="Q4")
    assert (quantised["cuda_overhead_gb"], quantised["model_params_memory_gb"]) == (1.0, 3.42)


def test_very_large_needs_are_warned_of(client: TestClient) -> None:
    found = ask(client, model_name="meta-llama/Llama-3.1-405B", architecture=...)
    assert "80 GB" in found["warning"]


def test_a_parameter_count_overrides_the_catalogues(client: TestClient) -> None:
    found = ask(client, params_billions=13.476831232)
    assert found["model_params_memory_gb"] == pytest.approx(2 * 13.48, abs=0.01)


@pytest.mark.parametrize("name", ["nobody/new-model-7b", "nobody/new-model-7B-chat", "x-0.5b", "y_8x7b"])
def test_an_unknown_model_is_sized_by_its_name_and_said_to_be_guessed(client: TestClient, name: str) -> None:
    found = ask(client, model_name=name, architecture=...)
    assert "guessed" in found["assumptions"][0]


@pytest.mark.parametrize("billions", [0.1, 1, 7, 13, 34, 70, 180, 400])
def test_a_guessed_shape_has_the_given_size(client: TestClient, billions: float) -> None:
    found = ask(client, model_name="nobody/secret", architecture=..., params_billions=billions)
    assert found["model_params_memory_gb"] == pytest.approx(2 * billions, rel=0.03)


def test_an_unknown_model_without_any_size_is_refused(client: TestClient) -> None:
    assert "params_billions" in refused(client, model_name="nobody/secret", architecture=...)


@pytest.mark.parametrize("name", ["gpt-3.5-turbo", "gpt-4", "gpt-4o", "claude-3-haiku", "gemini-ultra"])
def test_closed_models_are_refused_unless_parameters_are_given(client: TestClient, name: str) -> None:
    assert "not published" in refused(client, model_name=name, architecture=...)
    found = ask(client, model_name=name, architecture=..., params_billions=20)
    assert "guessed" in found["assumptions"][0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_seq_len": 0}, "max_seq_len: must be at least 1; got 0"),
        ({"max_seq_len": -5}, "max_seq_len: must be at least 1"),
        ({"max_seq_len": 10**12}, "max_seq_len: must be at most"),
        ({"max_seq_len": 1.5}, "max_seq_len: must be a whole number"),
        ({"max_seq_len": "2048"}, "max_seq_len: must be a whole number"),
        ({"max_batch_size": 0}, "max_batch_size: must be at least 1"),
        ({"max_batch_size": -1}, "max_batch_size: must be at least 1"),
        ({"max_model_len": 0}, "max_model_len: must be at least 1"),
        (
            {"gpu_memory_utilization": 0},
            "gpu_memory_utilization: must be greater than 0 and at most 1; got 0",
        ),
        ({"gpu_memory_utilization": 5e-324}, "gpu_memory_utilization: must be greater than 0 and at most 1"),
        ({"gpu_memory_utilization": 1.5}, "gpu_memory_utilization: must be greater than 0 and at most 1"),
        ({"gpu_memory_utilization": -0.1}, "gpu_memory_utilization"),
        ({"dtype": "float8"}, "dtype: must be one of float32, float16, bfloat16, int8, int4"),
        ({"kv_cache_dtype": "tiny"}, "kv_cache_dtype: must be one of"),
        ({"quantization": "Q5"}, "quantization: must be one of Q4, Q8 or null"),
        ({"params_billions": -7}, "params_billions: must be greater than 0"),
        ({"architecture": {"num_layers": -1}}, "architecture.num_layers: must be at least 1"),
        ({"architecture": []}, "architecture: must be an object"),
        ({"max_batchsize": 3}, "max_batchsize: no such field"),
        ({"gpu": "abacus"}, "gpu must be one of"),
        ({"vllm_version": "tomorrow"}, "vllm_version must look like"),
    ],
)
def test_what_the_document_lists_as_wrong_is_refused_by_name(
    client: TestClient, changes: dict[str, Any], words: str
) -> None:
    assert words in refused(client, **changes)


@pytest.mark.parametrize(
    "body",
    ["", "[1", "null", "[]", '{"model_name": "a-7b", "max_seq_len": NaN}', "[" * 50_000, "\x00", '"x"'],
)
def test_a_body_that_is_no_request_is_refused(client: TestClient, body: str) -> None:
    answer = client.post("/estimate-gpu-memory", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["detail"]


def test_a_request_that_is_not_called_json_is_told_which_header_to_send(client: TestClient) -> None:
    body = '{"model_name": "meta-llama/Llama-2-7b", "max_seq_len": 2048}'
    for headers in ({}, {"Content-Type": "application/x-www-form-urlencoded"}):
        answer = client.post("/estimate-gpu-memory", content=body, headers=headers)
        assert answer.status_code == 400
        assert "Content-Type: application/json" in answer.json()["detail"]


def test_known_architectures_cover_the_documents_list(client: TestClient) -> None:
    known = client.get("/known-architectures").json()
    names = " ".join([*known, *(alias for one in known.values() for alias in one.get("aliases", []))]).lower()
    wanted = (
        "llama-2-7b llama-2-13b llama-2-70b llama-3-8b llama-3-70b llama-3.1-8b llama-3.1-70b llama-3.1-405b "
        "llama-3.2-1b llama-3.2-3b mistral-7b mixtral-8x7b mistral-large mistral-medium mixtral-8x22b gpt-3.5-turbo "
        "gpt-4 gpt-4o qwen1.5-0.5b qwen1.5-110b gemma-2b gemma-7b claude-3-haiku claude-3-sonnet claude-3-opus "
        "gemini-nano gemini-pro gemini-ultra yi-6b yi-9b yi-34b falcon-7b falcon-40b falcon-180b stablelm mpt-7b "
        "pythia-12b openchat"
    )
    assert [name for name in wanted.split() if name not in names] == []
    assert all(one["source"] for one in known.values())
    assert all("num_layers" not in one for one in known.values() if not one["servable"])


def test_the_root_describes_the_api_with_an_example_that_works(client: TestClient) -> None:
    found = client.get("/").json()
    assert "POST /estimate-gpu-memory" in found["endpoints"]
    assert client.post("/estimate-gpu-memory", json=found["example_request"]).status_code == 200


def test_the_engines_view_comes_along(client: TestClient) -> None:
    view = ask(client, gpu="H100")["engine_view"]
    assert view["gpu"] == "H100"
    assert view["kv"]["tokens"] > 0
    assert view["shares"]["least_gpu_memory_utilization"] > 0
