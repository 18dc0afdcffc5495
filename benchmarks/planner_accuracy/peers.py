"""Other calculators, asked the same question through their own library calls with local data (none fetches anything)."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from tandem_inference.planner.catalogue import entries, split_quantization
from tandem_inference.planner.estimate import Estimate
from tandem_inference.planner.units import GIB
from tandem_inference.planner.weights import parameter_count

ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "gemma": "GemmaForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3": "Gemma3ForConditionalGeneration",
    "granite": "GraniteForCausalLM",
    "phi": "PhiForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "mistral3": "Mistral3ForConditionalGeneration",
    "llava_next": "LlavaNextForConditionalGeneration",
}


@dataclass(frozen=True)
class PeerAnswer:
    """GiB on one card; None where the tool has no such figure."""

    weights_gib: float | None
    kv_gib: float | None


@dataclass(frozen=True)
class Peer:
    name: str
    modules: tuple[str, ...]
    ask: Callable[[Estimate], PeerAnswer]
    remark: str

    def missing(self) -> str:
        return ", ".join(name for name in self.modules if importlib.util.find_spec(name) is None)


def _config(answer: Estimate) -> dict[str, Any]:
    name = split_quantization(answer.engine.shape.name)[0].rsplit("/", 1)[-1].lower()
    for entry in entries():
        known = (entry.id, *entry.aliases)
        if any(name == one.rsplit("/", 1)[-1].lower() for one in known):
            return dict(entry.config)
    return {}


def _weight_bytes(answer: Estimate) -> float:
    size = 4 if answer.engine.dtype == "float32" else 2
    return parameter_count(answer.engine.shape) * size


def ask_modelinfo(answer: Estimate) -> PeerAnswer:
    """Its vLLM mode: share of the nameplate memory less the weights."""
    calculator = importlib.import_module("modelinfo.calculator")
    config = _config(answer)
    found = calculator.calculate_footprint(
        {"weights": {"shape": [parameter_count(answer.engine.shape)], "dtype": "BF16"}},
        config=config.get("text_config", config),
        is_vllm=True,
        gpu_vram_bytes=answer.engine.gpu.nameplate_gb * GIB,
        gpu_util=answer.engine.utilization,
    )
    return PeerAnswer(found["base_memory_bytes"] / GIB, found["vllm_metrics"]["paged_kv_pool"] / GIB)


def ask_llm_d_planner(answer: Estimate) -> PeerAnswer:
    """Its formula with its own constants; the weights are parameters x bytes, as it takes them from the hub."""
    planner = importlib.import_module("planner.capacity_planner")
    config = _config(answer)
    flat = {**config, **config.get("text_config", {})}
    architecture = ARCHITECTURES.get(config.get("model_type", ""), "LlamaForCausalLM")
    shown = SimpleNamespace(**{**flat, "architectures": [architecture]})
    weights = _weight_bytes(answer) / GIB
    used = weights + planner.estimate_vllm_activation_memory(shown) + planner.estimate_vllm_non_torch_memory()
    return PeerAnswer(
        weights,
        planner.available_gpu_memory(answer.engine.gpu.nameplate_gb, answer.engine.utilization) - used,
    )


def ask_hf_mem(answer: Estimate) -> PeerAnswer:
    """Weights from the checkpoint's tensor sizes; it knows no engine budget."""
    sizes = importlib.import_module("hf_mem.safetensors.types")
    kind = "F32" if answer.engine.dtype == "float32" else "BF16"
    return PeerAnswer(
        parameter_count(answer.engine.shape) * sizes.get_safetensors_dtype_bytes(kind) / GIB, None
    )


def ask_accelerate(answer: Estimate) -> PeerAnswer:
    """`estimate-memory`'s own route: an empty model made from the config, its tensors summed."""
    accelerate, torch, transformers = (
        importlib.import_module(name) for name in ("accelerate", "torch", "transformers")
    )
    config = {key: value for key, value in _config(answer).items() if not key.startswith("rope_")}
    kind = config.pop("model_type", "")
    if "text_config" in config or kind not in ARCHITECTURES:
        return PeerAnswer(None, None)
    made = transformers.AutoConfig.for_model(kind, **config)
    with accelerate.init_empty_weights():
        model = transformers.AutoModelForCausalLM.from_config(made, dtype=torch.bfloat16)
    model.tie_weights()
    total, _ = accelerate.utils.calculate_maximum_sizes(model)
    return PeerAnswer(total / GIB * (2 if answer.engine.dtype == "float32" else 1), None)


PEERS = (
    Peer("modelinfo-cli", ("modelinfo",), ask_modelinfo, "nameplate memory, no activation, no context"),
    Peer("llm-d-planner", ("planner",), ask_llm_d_planner, "constants fitted on these very runs"),
    Peer("hf-mem", ("hf_mem",), ask_hf_mem, "weights only; no engine budget"),
    Peer("accelerate", ("accelerate", "transformers", "torch"), ask_accelerate, "weights only; text models"),
)
