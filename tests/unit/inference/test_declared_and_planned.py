"""What an engine declares and what the planner reads of the same declaration agree."""

import json
from pathlib import Path
from typing import Any

import pytest

from tandem_inference.engines.declaration import Engine
from tandem_inference.engines.engines_file import read_engines
from tandem_inference.engines.plan_check import plan_of
from tandem_inference.planner.gpus import find_gpu
from tandem_inference.planner.several.declaration import read_engines_file
from tests.support.inference_service import declared_engine

ADAPTERS = "    adapters: [{name: formal, model: ./formal}, {name: brief, model: ./brief}]\n"
HEAD = (
    "start_order: as_listed\nengines:\n  - name: small\n    model: Qwen/Qwen2.5-3B-Instruct\n    served_model_name: tiny\n"
    "    max_model_len: 2048\n    max_num_seqs: 16\n"
)


def _engine(**fields: Any) -> Engine:
    plain = declared_engine().model_dump(exclude_none=True)
    return Engine.model_validate(plain | {"model": "Qwen/Qwen2.5-3B-Instruct"} | fields)


def _weights(**fields: Any) -> float:
    plan = plan_of(_engine(**fields), find_gpu("L4"), vllm_version="0.32.0", hub=False)
    return plan.parts.loaded.likely


def test_an_engine_with_every_field_is_planned() -> None:
    assert _weights(
        tokenizer="organisation/words",
        load_format="safetensors",
        max_num_batched_tokens=4096,
        kv_cache_dtype="fp8",
        enable_prefix_caching=True,
        on_demand={"idle_seconds": 60},
        environment={"HF_TOKEN": "x"},
    ) == pytest.approx(_weights(), rel=0.001)


def test_offloaded_weights_and_room_for_adapters_count() -> None:
    assert _weights() - _weights(cpu_offload_gb=1) == pytest.approx(2**30, rel=0.01)
    one = _weights(max_lora_rank=16) - _weights()
    assert one > 0
    two = _weights(adapters=[{"name": name, "model": "organisation/x"} for name in ("a", "b")]) - _weights()
    assert two == pytest.approx(2 * one, rel=0.01)


@pytest.mark.parametrize("more", [ADAPTERS, f"{ADAPTERS}    max_loras: 1\n", "    max_lora_rank: 64\n", ""])
def test_the_planner_reads_the_room_for_adapters_from_the_same_file(tmp_path: Path, more: str) -> None:
    for name, rank in (("formal", 8), ("brief", 20)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_config.json").write_text(json.dumps({"r": rank}))
    file = tmp_path / "engines.yaml"
    file.write_text(HEAD + more)
    (engine,) = read_engines(file).engines
    (view,) = read_engines_file(file)
    flags = view.flags(vllm_version="0.32.0")
    room = engine.lora
    assert flags.max_loras == (room.slots if room else 0)
    if room:
        assert flags.max_lora_rank == room.rank
