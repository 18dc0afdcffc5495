"""What a config.json means by leaving a field out: the default of that family's configuration class.

The core dimensions of a model are never filled in at a config's top level, where their absence is a mistake;
inside a multimodal config the text part regularly leaves out what equals its class' defaults.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, Final

CORE: Final = frozenset(
    {
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "vocab_size",
        "max_position_embeddings",
        "kv_lora_rank",
        "moe_intermediate_size",
    }
)


@cache
def _families() -> dict[str, dict[str, Any]]:
    text = (files("tandem_inference.planner") / "data" / "config_defaults.json").read_text(encoding="utf-8")
    families: dict[str, dict[str, Any]] = json.loads(text)["families"]
    return families


@cache
def defaults_of(family: str, *, nested: bool) -> dict[str, Any]:
    """The defaults that hold for a config of this `model_type`."""
    known = _families().get(family, {})
    return known if nested else {name: value for name, value in known.items() if name not in CORE}
