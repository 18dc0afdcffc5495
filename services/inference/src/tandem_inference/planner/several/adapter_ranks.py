"""Reads the ranks of adapters that a planned engines.yaml names by their folders; what cannot be read keeps vLLM's default."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tandem_inference.planner.sources import looks_like_path

_LARGEST_BYTES = 1024 * 1024


def add_ranks(values: Any, folder: Path) -> None:
    """Give each adapter in the parsed file its `rank`, where its folder, relative to `folder`, tells it."""
    engines = values.get("engines") if isinstance(values, dict) else values
    for engine in engines if isinstance(engines, list) else []:
        adapters = engine.get("adapters") if isinstance(engine, dict) else None
        for adapter in adapters if isinstance(adapters, list) else []:
            if isinstance(adapter, dict) and (rank := _rank(adapter.get("model"), folder)):
                adapter.setdefault("rank", rank)


def _rank(model: Any, folder: Path) -> int | None:
    if not isinstance(model, str) or not looks_like_path(model):
        return None
    file = folder / Path(model).expanduser() / "adapter_config.json"
    try:
        if file.stat().st_size > _LARGEST_BYTES:
            return None
        config = json.loads(file.read_text(encoding="utf-8"))
        ranks = [config["r"], *(config.get("rank_pattern") or {}).values()]
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    return max((rank for rank in ranks if type(rank) is int and rank > 0), default=None)
