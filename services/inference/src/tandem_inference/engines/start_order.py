"""In which order engines start. Small ones first: the large ones then measure what is really left of the card."""

from pathlib import Path
from typing import Final

from tandem_inference.engines.declaration import DeclaredEngines, Engine
from tandem_inference.engines.places import is_folder
from tandem_inference.engines.plan_check import plan_of
from tandem_inference.planner.errors import PlannerError
from tandem_inference.planner.gpus import find_gpu
from tandem_inference.planner.releases import DEFAULT_VERSION

_WEIGHT_FILES: Final = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.gguf")
_ANY_CARD: Final = "H100"  # weights weigh the same on every card, but for what rounding adds


def ordered(declared: DeclaredEngines) -> tuple[Engine, ...]:
    """Return the engines in the order in which they are to be started. Reads files, asks no hub."""
    if declared.start_order == "as_listed":
        return declared.engines

    def size(engine: Engine) -> tuple[bool, int]:
        known = weight_bytes(engine)
        return known is None, known or 0

    return tuple(sorted(declared.engines, key=size))  # stable: equals and unknowns keep the file's order


def weight_bytes(engine: Engine) -> int | None:
    """The planner's size of the engine's weights, else that of the model's files; None when neither can be had."""
    try:
        return int(
            plan_of(engine, find_gpu(_ANY_CARD), vllm_version=DEFAULT_VERSION, hub=False).parts.loaded.likely
        )
    except PlannerError:
        return _file_bytes(Path(engine.model)) if is_folder(engine.model) else None


def _file_bytes(folder: Path) -> int | None:
    for pattern in _WEIGHT_FILES:  # one format only: some repositories hold the same weights twice
        if found := [file.stat().st_size for file in folder.glob(pattern)]:
            return sum(found)
    return None
