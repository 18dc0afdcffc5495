"""In which order engines start. Small ones first: the large ones then measure what is really left of the card."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tandem_inference.engines.declaration import DeclaredEngines, Engine
from tandem_inference.engines.places import is_folder
from tandem_inference.engines.plan_check import plan_of
from tandem_inference.planner.errors import PlannerError
from tandem_inference.planner.gpus import find_gpu
from tandem_inference.planner.releases import DEFAULT_VERSION

logger = logging.getLogger(__name__)

_WEIGHT_FILES: Final = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.gguf")
_ANY_CARD: Final = "H100"  # weights weigh the same on every card, but for what rounding adds


def start_order(declared: DeclaredEngines) -> tuple[Engine, ...]:
    """Return the engines in the order in which they are to be started; logs it. Reads files, asks no hub."""
    if declared.start_order == "as_listed":
        ordered = declared.engines
        sizes: dict[str, int | None] = {}
    else:
        sizes = {engine.name: weight_bytes(engine) for engine in declared.engines}
        ordered = _small_first(declared.engines, sizes)
    facts = {"order": [engine.name for engine in ordered], "weight_bytes": sizes}
    logger.info("engines.start_order", extra=facts | {"by": declared.start_order})
    return ordered


def weight_bytes(engine: Engine) -> int | None:
    """The planner's size of the engine's weights, else that of the model's files; None when neither can be had."""
    try:
        return int(
            plan_of(engine, find_gpu(_ANY_CARD), vllm_version=DEFAULT_VERSION, hub=False).parts.loaded.likely
        )
    except PlannerError:
        return _file_bytes(Path(engine.model)) if is_folder(engine.model) else None


def _small_first(engines: Sequence[Engine], sizes: dict[str, int | None]) -> tuple[Engine, ...]:
    def key(engine: Engine) -> tuple[bool, int]:
        size = sizes[engine.name]
        return size is None, size or 0

    return tuple(sorted(engines, key=key))  # stable: equals and unknowns keep the file's order


def _file_bytes(folder: Path) -> int | None:
    for pattern in _WEIGHT_FILES:  # one format only: some repositories hold the same weights twice
        if found := [file.stat().st_size for file in folder.glob(pattern)]:
            return sum(found)
    return None
