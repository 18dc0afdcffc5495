"""Builds vLLM's own model of a config.json without memory (PyTorch's meta device) and reads sizes off it.

Needs the inference environment; no GPU and no weights. Comparing is `against_vllm`'s work.
"""

# ruff: noqa: SLF001 - the functions that decide sizes are vLLM's internals, and just those are to be compared with

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.update(HF_HUB_OFFLINE="1", VLLM_NO_USAGE_STATS="1", VLLM_LOGGING_LEVEL="ERROR")

import torch
from vllm.config import VllmConfig, set_current_vllm_config
from vllm.distributed import parallel_state
from vllm.engine.arg_utils import EngineArgs
from vllm.model_executor.model_loader.utils import initialize_model
from vllm.model_executor.models import registry
from vllm.model_executor.models.config import MODELS_CONFIG_MAP
from vllm.platforms.interface import Platform
from vllm.utils.torch_utils import set_default_torch_dtype
from vllm.v1.attention.backend import MultipleOf
from vllm.v1.core import kv_cache_utils

from tandem_inference.planner.weights import allocated

# Each class would otherwise be inspected in a process of its own, ten seconds each.
registry._LazyRegisteredModel.inspect_model_cls = lambda self: registry._ModelInfo.from_model_cls(
    self.load_model_cls()
)


class _GpuBackend:
    """What the block-size rules ask of an attention backend, as FlashAttention answers on a GPU."""

    @staticmethod
    def get_supported_kernel_block_sizes() -> list[Any]:
        return [MultipleOf(16)]

    @staticmethod
    def customize_spec(spec: Any) -> Any:
        return spec


class _GpuRules(Platform):  # type: ignore[misc]  # vLLM is not there where types are checked
    """The platform-independent part of the block-size rules."""

    @classmethod
    def _find_non_ssm_backends(cls, vllm_config: VllmConfig) -> list[Any]:  # noqa: ARG003 - vLLM's signature
        return [_GpuBackend]


@dataclass(frozen=True)
class Built:
    """Bytes as vLLM has them: all tensors after the allocator's rounding, and the KV cache's geometry."""

    weights: int
    bytes_per_block: int
    groups: int
    needed: int


@contextmanager
def _one_rank(folder: str) -> Iterator[None]:
    parallel_state.init_distributed_environment(1, 0, f"file://{folder}/rendezvous", 0, backend="gloo")
    parallel_state.ensure_model_parallel_initialized(1, 1)
    try:
        yield
    finally:
        parallel_state.destroy_model_parallel()
        parallel_state.destroy_distributed_environment()


def build(config: dict[str, Any], architecture: str, *, length: int, dtype: str = "bfloat16") -> Built:
    """Raises whatever vLLM raises for a config it cannot build on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        named = {**config, "architectures": [architecture]}
        (Path(folder) / "config.json").write_text(json.dumps(named), encoding="utf-8")
        words = EngineArgs(
            model=folder,
            load_format="dummy",
            skip_tokenizer_init=True,
            max_model_len=length,
            enforce_eager=True,
            dtype=dtype,
            max_num_batched_tokens=max(2048, length),
        )
        settings = words.create_engine_config()
        with set_current_vllm_config(settings), _one_rank(folder):
            with torch.device("meta"), set_default_torch_dtype(settings.model_config.dtype):
                model = initialize_model(settings)
            return Built(tensor_bytes(model), *cache_geometry(settings))


def tensor_bytes(model: torch.nn.Module) -> int:
    """Every storage once (views and tied tensors share one), rounded as the allocator of a GPU does."""
    storages = {}
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.numel() > 1:
            storages[tensor.untyped_storage()._cdata] = tensor
    return sum(
        allocated(one.untyped_storage().nbytes() or one.numel() * one.element_size(), unsplit=True)
        for one in storages.values()
    )


def _undo_cpu_state_dtype(settings: VllmConfig) -> None:
    """The CPU platform keeps every recurrent state in float32; on a GPU the model's own rule holds."""
    settings.cache_config.mamba_ssm_cache_dtype = "auto"
    rule = MODELS_CONFIG_MAP.get(settings.model_config.architecture)
    if rule is not None and settings.model_config.is_hybrid:
        rule.verify_and_update_config(settings)


def cache_geometry(settings: VllmConfig) -> tuple[int, int, int]:
    """Bytes per block, number of groups, and the bytes of one request of full length, by vLLM's own functions."""
    cache = settings.cache_config
    cache.block_size = 16
    cache.kv_cache_layout = "LBNHC"
    cache.mamba_page_size_padded = None
    _undo_cpu_state_dtype(settings)
    if settings.model_config.is_hybrid:
        _GpuRules._align_hybrid_block_size(settings, _GpuBackend)
    layers = settings.compilation_config.static_forward_context
    specs = {}
    for name, layer in layers.items():
        spec = layer.get_kv_cache_spec(settings) if hasattr(layer, "get_kv_cache_spec") else None
        if spec is not None:
            specs[name] = spec
    groups = kv_cache_utils.get_kv_cache_groups(settings, specs)
    per_block = kv_cache_utils._pool_bytes_per_block(settings, groups)
    needed = kv_cache_utils._max_memory_usage_bytes_from_groups(settings, groups)
    return per_block, len(groups), needed
