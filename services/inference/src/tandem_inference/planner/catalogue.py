"""The shipped catalogue of open models, and finding the shape behind a name as people, hubs and logs write it.

The data are JSON files in `data/catalogue`, one per family, each entry with its source; closed models are
listed without dimensions. Reading files and the hub is `sources`' work.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from tandem_inference.planner.errors import ClosedModelError, UnknownModelError
from tandem_inference.planner.shape.model import ModelShape
from tandem_inference.planner.shape.reading import shape_from_config


@dataclass(frozen=True, slots=True)
class Entry:
    """One open model: its hub id, other names it goes by, where its config was read, and that config."""

    id: str
    family: str
    source: str
    config: dict[str, Any]
    aliases: tuple[str, ...] = ()
    parameters: int | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """A model that exists only behind its maker's API."""

    id: str
    maker: str
    source: str
    aliases: tuple[str, ...] = ()


@cache
def _documents() -> tuple[dict[str, Any], ...]:
    folder = files("tandem_inference.planner") / "data" / "catalogue"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".json"))
    return tuple(json.loads((folder / name).read_text(encoding="utf-8")) for name in names)


@cache
def entries() -> tuple[Entry, ...]:
    """All open models."""
    return tuple(
        Entry(
            id=row["id"],
            family=document["family"],
            source=row["source"],
            config=row["config"],
            aliases=tuple(row.get("aliases", ())),
            parameters=row.get("parameters"),
        )
        for document in _documents()
        for row in document.get("models", ())
    )


@cache
def closed_models() -> tuple[Closed, ...]:
    return tuple(
        Closed(row["id"], row["maker"], document["source"], tuple(row["aliases"]))
        for document in _documents()
        for row in document.get("closed", ())
    )


def _key(name: str) -> str:
    """Organisation, case and punctuation do not tell models apart."""
    return re.sub(r"[^a-z0-9.]", "", name.rsplit("/", maxsplit=1)[-1].lower())


@cache
def _index() -> dict[str, Entry]:
    index: dict[str, Entry] = {}
    for entry in entries():
        for alias in entry.aliases:
            index.setdefault(_key(alias), entry)
    index.update({_key(entry.id): entry for entry in entries()})
    return index


@cache
def _closed_index() -> dict[str, Closed]:
    return {_key(name): one for one in closed_models() for name in (one.id, *one.aliases)}


QUANTIZED_NAMES = (
    (r"[-_.](?:quantized[-_.])?w8a8$", "int8_w8a8"),
    (r"[-_.](?:quantized[-_.])?w4a16(?:[-_.]g128)?$", "w4a16"),
    (r"[-_.](?:quantized[-_.])?w8a16$", "gptq_int8"),
    (r"[-_.]fp8[-_.]?(?:dynamic|kv)$", "fp8_channel"),
    (r"[-_.]fp8[-_.]block$", "fp8_block"),
    (r"[-_.]fp8$", "fp8_channel"),
    (r"[-_.]awq(?:[-_.]?int4)?$", "awq"),
    (r"[-_.]gptq[-_.]?int8$", "gptq_int8"),
    (r"[-_.]gptq(?:[-_.]?int4)?$", "gptq"),
    (r"[-_.](?:unsloth[-_.])?bnb[-_.]4bit$", "bitsandbytes"),
    (r"[-_.]nvfp4$", "nvfp4"),
)
"""Endings with which quantised copies of a model are published, and the scheme each stands for."""

TUNED_NAMES = re.compile(
    r"[-_.](?:instruct|chat|it|base|hf|pt|dpo|sft)(?=$|[-_.])|[-_.]v\d+(?:\.\d+)*$", re.IGNORECASE
)


def split_quantization(name: str) -> tuple[str, str | None]:
    """`Llama-3.1-8B-Instruct-quantized.w8a8` is `Llama-3.1-8B-Instruct` with scheme `int8_w8a8`."""
    for pattern, scheme in QUANTIZED_NAMES:
        shorter = re.sub(pattern, "", name, flags=re.IGNORECASE)
        if shorter != name:
            return shorter, scheme
    return name, None


def _tuned(name: str) -> str:
    return _key(TUNED_NAMES.sub("", name))


@cache
def _tuned_index() -> dict[str, Entry]:
    index: dict[str, Entry] = {}
    for entry in entries():
        for alias in (entry.id, *entry.aliases):
            index.setdefault(_tuned(alias), entry)
    return index


def _find(name: str) -> tuple[Entry, str | None] | None:
    direct = _index().get(_key(name))
    if direct is not None:
        return direct, None
    plain, scheme = split_quantization(name)
    entry = _index().get(_key(plain)) or _tuned_index().get(_tuned(plain))
    return (entry, scheme) if entry else None


@lru_cache(maxsize=512)
def shape_of(name: str) -> ModelShape:
    """The shape of a catalogued model, or of a quantised or tuned copy of one, by name.

    Raises:
        ClosedModelError: the model's weights are not published.
        UnknownModelError: no entry matches.
    """
    found = _find(name)
    if found is None:
        closed = _closed_index().get(_key(name))
        if closed is not None:
            raise ClosedModelError(
                f"{name} is a closed model of {closed.maker}: its weights are not published, so it cannot be "
                "served and has no known dimensions. Give params_billions or architecture for an estimate of "
                "a model of that size",
                field="model_name",
            )
        raise UnknownModelError(
            f"{name!r:.120} is not in the catalogue ({len(entries())} models). Give its config.json, or "
            "params_billions or architecture",
            field="model_name",
        )
    entry, scheme = found
    shape = shape_from_config(name, entry.config, source=entry.source)
    return replace(shape, quantization=scheme or shape.quantization)


def is_closed(name: str) -> bool:
    return _find(name) is None and _key(name) in _closed_index()
