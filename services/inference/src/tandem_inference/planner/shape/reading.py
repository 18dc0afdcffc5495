"""Turns a parsed config.json into a `ModelShape`: picks the family, unwraps multimodal configs, reads quantisation."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tandem_inference.planner.errors import UnreadableConfigError
from tandem_inference.planner.shape import hybrid, latent, mamba, unusual, vision
from tandem_inference.planner.shape.defaults import defaults_of
from tandem_inference.planner.shape.dense import read_dense, read_dtype
from tandem_inference.planner.shape.experts import MIXTURES, read_mixture
from tandem_inference.planner.shape.fields import Fields
from tandem_inference.planner.shape.model import EncoderPass, Extra, ModelShape
from tandem_inference.planner.shape.traits import DENSE, LLAMA

Tower = Callable[[Fields, int], tuple[tuple[Extra, ...], EncoderPass]]

TOWERS: Final[dict[str, tuple[str, Tower]]] = {
    "gemma3": ("gemma3_text", vision.gemma3),
    "mistral3": ("mistral", vision.mistral3),
    "llava_next": ("llama", vision.llava_next),
    "llava": ("llama", vision.llava_next),
    "granite_vision": ("granite", vision.llava_next),
    "kimi_vl": ("deepseek_v3", vision.kimi_vl),
    "llama4": ("llama4_text", vision.llama4),
    "qwen2_5_vl": ("qwen2", vision.qwen_vl),
    "qwen3_vl": ("qwen3", vision.qwen_vl),
    "qwen3_vl_moe": ("qwen3_moe", vision.qwen_vl),
    "qwen3_5": ("qwen3_5_text", vision.qwen_vl),
    "qwen3_5_moe": ("qwen3_5_moe_text", vision.qwen_vl),
}
"""Multimodal `model_type`: the family of its text part where that names none, and its image tower."""

TOKEN_POSITIONS: Final = frozenset({"qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe"})
"""Families whose image positions never exceed the number of tokens (vllm qwen3_vl.py, mrope_positions_factor)."""

Reader = Callable[[str, str, Fields], ModelShape]

READERS: Final[dict[str, Reader]] = {
    **dict.fromkeys(hybrid.FAMILIES, hybrid.read_hybrid),
    **dict.fromkeys(MIXTURES, read_mixture),
    **mamba.READERS,
    **unusual.READERS,
}
"""Families with a reader of their own; the plain dense ones are rows of `DENSE`."""

_TEXT_ALIASES: Final = {
    "RefinedWeb": "falcon",
    "RefinedWebModel": "falcon",
    "qwen3_vl_text": "qwen3",
    "qwen3_vl_moe_text": "qwen3_moe",
    "qwen2_5_vl_text": "qwen2",
    "granitemoeshared": "granitemoe",
    "stablelm_epoch": "stablelm",
    "Yi": "llama",
    "aquila": "llama",
    "xverse": "llama",
}
LARGEST_CONFIG_BYTES: Final = 4 * 1024 * 1024


def known_families() -> tuple[str, ...]:
    """Every `model_type` that is read exactly."""
    names = {*DENSE, *latent.FAMILIES, *READERS, *TOWERS}
    return tuple(sorted(names))


def shape_from_config(name: str, config: Mapping[str, Any], *, source: str = "config.json") -> ModelShape:
    """The shape a config.json describes.

    A `model_type` that is not known is read as a Llama-like decoder when it has all the fields of one;
    the shape then carries that assumption in `assumptions`.

    Raises:
        UnreadableConfigError: a field is missing, absurd or of the wrong type, or the model is no decoder.
    """
    fields = Fields(config)
    family = fields.text("model_type")
    _reject_encoders(fields, family)
    if family in TOWERS:
        shape = _multimodal(name, family, fields)
    else:
        _reject_encoders_of_unknown_kind(fields, family)
        nested = fields.section("text_config")
        shape = _decoder(name, family, nested or fields, outer=fields)
    return replace(shape, quantization=read_quantization(fields), source=source)


def _multimodal(name: str, family: str, fields: Fields) -> ModelShape:
    default, tower = TOWERS[family]
    text = fields.section("text_config", "llm_config") or fields
    inner = text.text("model_type", default=default)
    shape = _decoder(name, inner if inner in known_families() else default, text, outer=fields)
    extras, encoder = tower(fields, shape.hidden)
    if family in TOKEN_POSITIONS and shape.rope_rows == 4 * shape.max_position:
        shape = replace(shape, rope_rows=shape.max_position, rope_spare_rows=3 * shape.max_position)
    return replace(shape, family=family, extras=extras, encoder=encoder, lora_vocab_modules=0)


def _decoder(name: str, family: str, fields: Fields, *, outer: Fields) -> ModelShape:
    nested = fields is not outer
    filled = fields.over(defaults_of(family, nested=nested))
    family = _TEXT_ALIASES.get(family, family)
    shape = _read_family(name, family, filled)
    if nested and fields.raw("torch_dtype", "dtype") is None:
        shape = replace(shape, dtype=read_dtype(outer))
    if nested and not fields.has("tie_word_embeddings") and outer.has("tie_word_embeddings"):
        shape = replace(shape, tied=outer.flag("tie_word_embeddings", default=False))
    return shape


def _read_family(name: str, family: str, fields: Fields) -> ModelShape:
    if family in latent.FAMILIES or fields.has("kv_lora_rank"):
        return latent.read_latent(name, family, fields)
    if family in READERS:
        return READERS[family](name, family, fields)
    if family in DENSE:
        return read_dense(name, family, fields, DENSE[family])
    return _assumed_llama(name, family, fields)


UNUSUAL_PARTS: Final = re.compile(
    r"expert|moe|mamba|ssm|state_size|conv|recurrent|linear_|lru|rwkv|pattern|shared_layers|per_layer|global_head"
    r"|block_type|cross_att|vision|audio|speech|laurel|altup|compress|indexer|index_n_heads|ngram|h_cycles"
)
"""Fields of parts a Llama-like decoder does not have: a config with one of them is not guessed at."""
UNGATED: Final = ("relu", "relu2", "relu_squared", "xielu")


def _assumed_llama(name: str, family: str, fields: Fields) -> ModelShape:
    found = fields.set_fields_like(UNUSUAL_PARTS)
    if fields.raw("hidden_act", "hidden_activation") in UNGATED:
        found = ("hidden_act", *found)
    if found:
        raise UnreadableConfigError(
            f"model_type {family!r:.60} is not known to the planner and has {found[0]:.60}, so its tensors cannot "
            "be guessed; known types: " + ", ".join(known_families()),
            field="model_type",
        )
    shape = read_dense(name, family, fields, LLAMA)
    note = f"model_type {family!r:.60} is not known: read as a Llama-like decoder, weights may differ by 10 %"
    return replace(shape, assumptions=(note,))


def _reject_encoders_of_unknown_kind(fields: Fields, family: str) -> None:
    """An image or sound encoder the planner has no reader for would be left out of the sum unnoticed."""
    found = fields.set_fields_like(
        re.compile(r"(vision|audio|speech|image|video)\w*_config$|^encoder_config$")
    )
    if found:
        raise UnreadableConfigError(
            f"model_type {family!r:.60} is not known to the planner and has an encoder ({found[0]:.60}). To plan its "
            "language part alone, give the content of text_config as a config.json",
            field="model_type",
        )


def _reject_encoders(fields: Fields, family: str) -> None:
    if fields.flag("is_encoder_decoder", default=False) or family in ("bert", "roberta", "t5", "whisper"):
        raise UnreadableConfigError(
            f"model_type {family!r:.60} is not a decoder-only language model; the planner covers those only",
            field="model_type",
        )


def read_quantization(fields: Fields) -> str | None:
    """The scheme a checkpoint declares, as a name of `quantization.SCHEMES`, or None for 16-bit weights."""
    section = fields.section("quantization_config", "compression_config")
    if section is None:
        text = fields.section("text_config")
        section = text.section("quantization_config") if text else None
    if section is None:
        return None
    method = section.text("quant_method", default="compressed-tensors")
    return _scheme(method, section)


def _scheme(method: str, section: Fields) -> str:
    bits = section.count("bits", "w_bit", default=4)
    if method in ("gptq", "auto_gptq", "gptq_marlin", "auto_round", "intel/auto-round"):
        zeros = not section.flag("sym", default=True)
        return "gptq_int8" if bits == 8 else ("awq" if zeros else "gptq")
    if method == "fp8":
        return "fp8_block" if section.has("weight_block_size") else "fp8"
    if method == "bitsandbytes":
        return "bitsandbytes_int8" if section.flag("load_in_8bit", default=False) else "bitsandbytes"
    if method == "compressed-tensors":
        return _compressed(section)
    direct = {"awq": "awq", "mxfp4": "mxfp4", "fbgemm_fp8": "fp8_channel", "modelopt": "fp8"}
    if method in direct:
        return direct[method]
    raise UnreadableConfigError(
        f"{section.where}: quant_method {method!r:.40} is not known; known: awq, gptq, fp8, bitsandbytes, compressed-tensors, mxfp4",
        field="quantization_config",
    )


def _compressed(section: Fields) -> str:
    """compressed-tensors: the first group's weight format decides."""
    groups = section.raw("config_groups")
    first = next(iter(groups.values()), None) if isinstance(groups, Mapping) and groups else None
    weights = first.get("weights") if isinstance(first, Mapping) else None
    if not isinstance(weights, Mapping):
        raise UnreadableConfigError(
            f"{section.where}: config_groups has no group with weights", field="quantization_config"
        )
    inner = Fields(weights, where=f"{section.where} weights")
    bits = inner.count("num_bits", default=8)
    if bits == 4:
        return "nvfp4" if inner.text("type", default="int") == "float" else "w4a16"
    if inner.text("strategy", default="channel") == "block":
        return "fp8_block"
    activations = first.get("input_activations") if isinstance(first, Mapping) else None
    if inner.text("type", default="int") == "float":
        return "fp8_channel"
    return "int8_w8a8" if activations else "gptq_int8"


def read_config_file(path: Path) -> Mapping[str, Any]:
    """Parses a config.json, or the one inside a model's folder.

    Raises:
        UnreadableConfigError: no such file, too large, not JSON, or not an object.
    """
    file = path / "config.json" if path.is_dir() else path
    try:
        if file.stat().st_size > LARGEST_CONFIG_BYTES:
            raise UnreadableConfigError(f"{file} is larger than a config.json can be", field="model")
        parsed = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnreadableConfigError(f"cannot read {file}: {error.strerror}", field="model") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableConfigError(f"{file} is not JSON: {error}", field="model") from error
    if not isinstance(parsed, Mapping):
        raise UnreadableConfigError(f"{file} must hold a JSON object", field="model")
    return parsed
