"""Whatever is sent, the planner answers 200 or 400, in JSON without NaN, and its numbers make sense."""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tandem_inference.planner import PlannerError, find_gpu, shape_from_config, shape_of
from tandem_inference.planner.catalogue import closed_models, entries
from tandem_inference.planner.engine import EngineFlags
from tandem_inference.planner.estimate import estimate
from tandem_inference.planner.gpus import all_gpus
from tandem_inference.planner.http.standalone import create_app
from tandem_inference.planner.reported.doctor import diagnose
from tests.unit.inference.planner.builders import config

NAMES = [entry.id for entry in entries()] + [one.id for one in closed_models()] + ["nobody/x-7b", "nobody/x"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
SIZES = st.integers(-2, 10**13) | st.sampled_from([1, 16, 512, 2048, 8192, 131072])


def odd(normal: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(normal, normal, normal, JSON)


ARCHITECTURE = st.fixed_dictionaries(
    {},
    optional={
        name: odd(st.sampled_from([1, 8, 32, 71, 128, 4096, 14336]))
        for name in (
            "num_layers",
            "hidden_size",
            "num_heads",
            "head_dim",
            "intermediate_size",
            "num_key_value_heads",
        )
    },
)
REQUESTS = st.fixed_dictionaries(
    {"model_name": odd(st.sampled_from(NAMES)), "max_seq_len": odd(SIZES)},
    optional={
        "dtype": odd(st.sampled_from(["float32", "float16", "bfloat16", "int8", "int4", "fp4"])),
        "kv_cache_dtype": odd(st.sampled_from(["float16", "int8", "int4", "fp8", "auto"])),
        "max_batch_size": odd(SIZES),
        "max_model_len": odd(SIZES),
        "gpu_memory_utilization": odd(st.floats(-0.5, 1.5)),
        "quantization": odd(st.sampled_from(["Q4", "Q8", None, "Q2"])),
        "params_billions": odd(st.floats(0.001, 2000)),
        "architecture": odd(ARCHITECTURE),
        "formula": odd(st.sampled_from(["vllm", "2025"])),
        "unit": odd(st.sampled_from(["GB", "GiB"])),
        "gpu": odd(st.sampled_from([gpu.id for gpu in all_gpus()])),
        "vllm_version": odd(st.sampled_from(["0.6.4", "0.8.5", "0.19", "0.27.1", "0.33"])),
    },
)
ENGINES = st.fixed_dictionaries(
    {"name": odd(st.sampled_from(["a", "b", "c", "d"])), "model": odd(st.sampled_from(NAMES))},
    optional={
        "max_model_len": odd(SIZES),
        "max_num_seqs": odd(st.integers(-1, 2000)),
        "max_num_batched_tokens": odd(st.integers(0, 10**5)),
        "gpu_memory_utilization": odd(st.floats(0, 1.2)),
        "kv_cache_bytes": odd(st.sampled_from(["1GiB", "10 GB", 10**9, -1, "many"])),
        "quantization": odd(st.sampled_from([None, "awq", "fp8", "gguf", "mxfp4"])),
        "kv_cache_dtype": odd(st.sampled_from(["auto", "fp8"])),
        "tensor_parallel": odd(st.integers(0, 9)),
        "adapters": odd(st.lists(st.just({"rank": 16}), max_size=3)),
        "enforce_eager": odd(st.booleans()),
        "speculative_config": odd(st.none()),
        "extra_args": odd(st.lists(st.sampled_from(["-dp", "2", "--max-model-len", "8k", "--dtype=half"]))),
    },
)
PLANS = st.fixed_dictionaries(
    {"engines": odd(st.lists(ENGINES, max_size=4))},
    optional={
        "gpu": odd(st.sampled_from([gpu.id for gpu in all_gpus()])),
        "profile": odd(st.sampled_from(["conservative", "balanced", "aggressive"])),
        "memory_in_use_gib": odd(st.floats(0, 30)),
        "vllm_version": odd(st.sampled_from(["0.19", "0.32"])),
    },
)
EXAMPLES = int(os.environ.get("TANDEM_GENERATED_REQUESTS", "300"))
"""Requests of each kind; 5000 of the first two are ten thousand over HTTP."""
QUIET = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(create_app(), raise_server_exceptions=True)


def send(client: TestClient, path: str, body: Any) -> Any:
    """The parsed answer of a 200, None for a 400; everything else fails the test."""
    answer = client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 400), answer.text
    parsed = json.loads(answer.text, parse_constant=lambda word: pytest.fail(f"{word} in the answer"))
    if answer.status_code == 400:
        assert parsed["code"]
        named = parsed["errors"][0]["field"]
        assert named
        assert named.rsplit(".", maxsplit=1)[-1] in parsed["detail"], parsed
        assert "Traceback" not in answer.text
        return None
    return parsed


@QUIET
@given(body=REQUESTS)
def test_generated_estimates_are_answered_or_refused(client: TestClient, body: dict[str, Any]) -> None:
    found = send(client, "/estimate-gpu-memory", body)
    if found is None:
        return
    parts = found["components_breakdown"]
    assert all(math.isfinite(value) and value >= 0 for value in parts.values())
    assert parts["min_kv_cache"] <= parts["max_kv_cache"] + 0.01 or found["formula"] == "2025"
    assert found["total_min_memory_gb"] <= found["total_max_memory_gb"] + 0.01 or found["formula"] == "2025"


@QUIET
@given(body=PLANS)
def test_generated_plans_are_answered_or_refused(client: TestClient, body: dict[str, Any]) -> None:
    found = send(client, "/plan", body)
    if found is None:
        return
    assert found["fits"] == (found["refusal"] is None)
    if found["fits"]:
        total = found["total_gib"]
        resident = sum(one["estimate"]["card"]["requested_gib"] for one in found["engines"])
        given_cache = any("--kv-cache-memory-bytes" in one["flags"] for one in found["engines"])
        assert resident <= total or given_cache


@QUIET
@given(
    changes=st.dictionaries(
        st.sampled_from([*config(), "rope_scaling", "quantization_config", "layer_types"]), JSON
    )
)
def test_a_config_with_any_lies_is_read_or_refused(changes: dict[str, Any]) -> None:
    with suppress(PlannerError):
        shape = shape_from_config("x", config(**changes))
        estimate(shape, all_gpus()[1], EngineFlags(max_model_len=1024))


@QUIET
@given(text=st.text(max_size=400))
def test_any_text_can_be_diagnosed(text: str) -> None:
    json.dumps(diagnose(text + " Model loading took 3 GiB max_seq_len=" + text).as_json(), allow_nan=False)


@QUIET
@given(
    name=st.sampled_from([entry.id for entry in entries()]),
    share=st.floats(0.3, 0.99),
    length=st.integers(16, 32768),
    rows=st.integers(1, 512),
)
def test_more_share_never_means_less_cache(name: str, share: float, length: int, rows: int) -> None:
    flags = EngineFlags(max_model_len=length, max_num_seqs=rows, gpu_memory_utilization=share)
    more = estimate(shape_of(name), find_gpu("H100"), flags)
    less = estimate(shape_of(name), find_gpu("H100"), replace(flags, gpu_memory_utilization=share * 0.9))
    assert more.kv.likely > less.kv.likely
    assert more.kv.low <= more.kv.likely <= more.kv.high
    assert more.gates[1].passes or not less.gates[1].passes
