"""The table of cards, and finding one by the name a person, a log or nvidia-smi gives it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from tandem_inference.planner.errors import InvalidValueError
from tandem_inference.planner.units import GIB


@dataclass(frozen=True, slots=True)
class Gpu:
    """One card; `total_gib` is CUDA's total and `context_gib` one process' CUDA context."""

    id: str
    nameplate_gb: int
    total_gib: float
    context_gib: float
    context_measured: bool
    multiprocessors: int
    capability: float
    bandwidth_gbs: float
    tflops_16: float
    tflops_8: float
    source: str
    names: tuple[str, ...] = ()

    @property
    def total_bytes(self) -> int:
        return round(self.total_gib * GIB)

    @property
    def context_bytes(self) -> int:
        return round(self.context_gib * GIB)

    @property
    def idle_share(self) -> float:
        """The largest `--gpu-memory-utilization` an idle card of this kind accepts."""
        return (self.total_gib - self.context_gib) / self.total_gib


def is_hopper(gpu: Gpu) -> bool:
    """Hopper and the data-centre Blackwells, whose libraries take more room than those of other cards."""
    return 9.0 <= gpu.capability < 12.0


@cache
def all_gpus() -> tuple[Gpu, ...]:
    text = (files("tandem_inference.planner") / "data" / "gpus.yaml").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = yaml.safe_load(text)
    return tuple(Gpu(**{**row, "names": tuple(row["names"])}) for row in rows)


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower().replace("nvidia", "").replace("geforce", ""))


@cache
def _index() -> dict[str, Gpu]:
    index = {_key(name): gpu for gpu in all_gpus() for name in gpu.names}
    index.update({_key(gpu.id): gpu for gpu in all_gpus()})
    return index


def find_gpu(name: str) -> Gpu:
    """The card called `name` (`L4`, `NVIDIA L4`, `RTX 4090`, `H100 80GB HBM3`).

    Raises:
        InvalidValueError: no such card in the table.
    """
    gpu = _index().get(_key(name))
    if gpu is None:
        known = ", ".join(one.id for one in all_gpus())
        raise InvalidValueError(
            f"gpu must be one of {known}; got {name!r:.60}. For another card give its CUDA total in GiB",
            field="gpu",
        )
    return gpu


def unlisted_gpu(total_gib: float, *, name: str = "unlisted") -> Gpu:
    """A card of which only CUDA's total is known: the nearest listed one lends the rest."""
    nearest = min(all_gpus(), key=lambda gpu: abs(gpu.total_gib - total_gib))
    return replace(nearest, id=name, total_gib=total_gib, context_measured=False, names=())
