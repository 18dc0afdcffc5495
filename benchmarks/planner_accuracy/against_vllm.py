"""Sets the planner's weights and cache pages beside vLLM's own model classes, built without memory, for dozens of families.

Run in the inference environment: `.venvs/inference/bin/python benchmarks/planner_accuracy/against_vllm.py [NAME ...]`.
Configs are the catalogue's, `published_configs.json`'s, and the defaults of every configuration class vLLM has a model for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from transformers import AutoConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)
from vllm.model_executor.models.registry import ModelRegistry

from benchmarks.planner_accuracy.vllm_models import Built, build
from tandem_inference.planner import EngineFlags, PlannerError, estimate, find_gpu, shape_from_config
from tandem_inference.planner.catalogue import entries

LENGTH = 4096
EXACT = 0.005
NAMES: dict[str, str] = {**MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES, **MODEL_FOR_CAUSAL_LM_MAPPING_NAMES}


def configs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and configs, each with the class vLLM is to build in `architectures`."""
    supported = set(ModelRegistry.get_supported_archs())
    for entry in entries():
        known = NAMES.get(entry.config["model_type"])
        if known in supported:
            yield entry.id, {**entry.config, "architectures": [known]}
    listed = json.loads((Path(__file__).parent / "published_configs.json").read_text(encoding="utf-8"))
    for row in listed["models"]:
        yield row["id"], row["config"]
    for kind, known in sorted(NAMES.items()):
        if known not in supported:
            continue
        values = AutoConfig.for_model(kind).to_dict()
        made = {key: value for key, value in values.items() if not key.startswith(("_", "transformers_"))}
        yield (
            f"default {kind}",
            json.loads(json.dumps({**made, "dtype": "bfloat16", "architectures": [known]})),
        )


def short(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:110]


def compared(name: str, config: dict[str, Any]) -> tuple[str, float]:
    """A line for the table, and the larger of the two errors (0 where there is nothing to compare)."""
    try:
        shape = shape_from_config(name, config)
        length = min(LENGTH, shape.max_position)
        flags = EngineFlags(max_model_len=length, dtype="bfloat16", enforce_eager=True)
        ours = estimate(shape, find_gpu("H200"), flags)
    except PlannerError as error:
        return f"refused by the planner: {short(error)}", 0.0
    try:
        theirs = build(config, config["architectures"][0], length=length)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever vLLM raises is a reason not to compare
        return f"not built by vLLM here: {short(error)}", 0.0
    return _line(ours.parts.weights.likely, ours, theirs, assumed=bool(shape.assumptions))


def _line(weights: float, ours: Any, theirs: Built, *, assumed: bool) -> tuple[str, float]:
    layout = ours.parts.layout
    needed = layout.bytes_per_block * layout.blocks_per_request(
        ours.max_model_len, in_flight=max(2048, LENGTH)
    )
    heavy, cache = weights / theirs.weights - 1, needed / theirs.needed - 1
    worst = max(abs(heavy), abs(cache))
    mark = "ok  " if worst <= EXACT else ("said" if assumed else "OFF ")
    return (
        f"{mark} weights {weights / 2**30:9.4f} GiB ({100 * heavy:+.3f} %)  one request {needed / 2**20:9.2f} MiB "
        f"({100 * cache:+.3f} %)  block {layout.bytes_per_block}/{theirs.bytes_per_block} groups "
        f"{layout.groups}/{theirs.groups}"
    ), 0.0 if assumed else worst


def main(wanted: list[str]) -> int:
    """Exit code 1 when a family that is read as known is more than half a per cent off."""
    worst, count = [], 0
    for name, config in configs():
        if wanted and not any(word in name for word in wanted):
            continue
        line, error = compared(name, config)
        count += "weights" in line
        worst.append((error, name))
        print(f"{name:44} {line}", flush=True)
    off = sorted((pair for pair in worst if pair[0] > EXACT), reverse=True)
    print(f"\n{count} of {len(worst)} configs compared, {len(off)} off by more than {100 * EXACT:g} %")
    return 1 if off else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
