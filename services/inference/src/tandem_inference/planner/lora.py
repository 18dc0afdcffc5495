"""Memory of LoRA slots, which vLLM allocates at load for every supported linear layer, used or not."""

from __future__ import annotations

from typing import Final

from tandem_inference.planner.dtypes import MODEL_DTYPES
from tandem_inference.planner.errors import InvalidValueError
from tandem_inference.planner.parameters import Linear
from tandem_inference.planner.shape.model import ModelShape
from tandem_inference.planner.tensors import tensors

RANKS: Final = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Values `--max-lora-rank` accepts (vllm/config/lora.py)."""


def slot_bytes(shape: ModelShape, dtype: str, *, rank: int, tensor_parallel: int = 1) -> int:
    """Bytes of one slot of `--max-loras`.

    rank x (inputs + outputs) for each slice of each fused linear layer, and rank x (vocabulary + hidden)
    for each time the vocabulary is wrapped. Slots have the size of `--max-lora-rank`, whatever the
    adapter's own rank. Source: vllm/lora/layers (create_lora_weights) and the model classes'
    embedding_modules; checked on Qwen3-4B (77.1 of 79.0 MiB measured) and Mistral-7B.
    """
    if rank not in RANKS:
        allowed = ", ".join(str(one) for one in RANKS)
        raise InvalidValueError(f"max_lora_rank must be one of {allowed}; got {rank}", field="max_lora_rank")
    elements = shape.lora_vocab_modules * (shape.vocab + shape.hidden)
    for tensor in tensors(shape, tensor_parallel=tensor_parallel):
        if isinstance(tensor, Linear):
            per_layer = sum(tensor.inputs + part for part in tensor.slices) * max(1, tensor.experts)
            elements += per_layer * tensor.count
    return rank * elements * MODEL_DTYPES[dtype]
