"""Writes LoRA adapters for the small model: random ones, which make it say something else, and nothing useful."""

import json
import random
import struct
from array import array
from pathlib import Path

_LAYERS = 30
_HIDDEN = 576
_OUTPUTS = {"q_proj": 576, "v_proj": 192}
_SPREAD = 0.15  # enough that greedy answers differ, from the model's and from one another's


def write_adapter(folder: Path, *, seed: int, rank: int = 8) -> Path:
    """Write an adapter as peft would, in `folder`, and return that."""
    folder.mkdir(parents=True)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": 2 * rank,
        "target_modules": list(_OUTPUTS),
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    source = random.Random(seed)
    tensors: dict[str, tuple[int, int]] = {}
    for layer in range(_LAYERS):
        for module, outputs in _OUTPUTS.items():
            stem = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            tensors[f"{stem}.lora_A.weight"] = (rank, _HIDDEN)
            tensors[f"{stem}.lora_B.weight"] = (outputs, rank)
    _write_safetensors(folder / "adapter_model.safetensors", tensors, source)
    return folder


def _write_safetensors(file: Path, tensors: dict[str, tuple[int, int]], source: random.Random) -> None:
    """The format: the header's length in 8 bytes, the header in JSON, and the numbers in its order."""
    header, offset = {}, 0
    for name, (rows, columns) in tensors.items():
        size = 4 * rows * columns
        header[name] = {"dtype": "F32", "shape": [rows, columns], "data_offsets": [offset, offset + size]}
        offset += size
    told = json.dumps(header).encode()
    with file.open("wb") as out:
        out.write(struct.pack("<Q", len(told)) + told)
        array("f", (source.gauss(0, _SPREAD) for _ in range(offset // 4))).tofile(out)
