"""What `engines.yaml` may say of one LoRA adapter, and of how much room an engine has for adapters."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from tandem_inference.engines.mistake import MistakeError
from tandem_inference.engines.places import folder_or_hub_id, is_folder
from tandem_inference.engines.vllm_values import LORA_RANKS

ADAPTER_CONFIG = "adapter_config.json"
_DEFAULT_RANK = 16


class Adapter(BaseModel):
    """One adapter of an engine's model, served under a name of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        pattern=r"^[^\s/][^\s]{0,199}$", description="The model name that callers use for this adapter."
    )
    model: str = Field(
        min_length=1,
        description="A folder with adapter_config.json (starting with ./ ../ / or ~) or a Hugging Face hub id.",
    )
    revision: str | None = Field(
        default=None, min_length=1, description="Branch, tag or commit of a hub adapter; a commit is best."
    )

    @field_validator("model")
    @classmethod
    def _find_adapter(cls, model: str, info: ValidationInfo) -> str:
        place = folder_or_hub_id(model, info.context, holding=ADAPTER_CONFIG)
        if is_folder(place):
            _rank_in(Path(place))
        return place

    @model_validator(mode="after")
    def _only_hub_adapters_have_revisions(self) -> Self:
        if self.revision is not None and is_folder(self.model):
            raise MistakeError(
                "only a hub adapter has one; remove it, or name the adapter by its hub id", "revision"
            )
        return self

    @property
    def rank(self) -> int | None:
        """The largest rank that the adapter's own configuration names; None for a hub adapter."""
        return _rank_in(Path(self.model)) if is_folder(self.model) else None


@dataclass(frozen=True)
class LoraRoom:
    """How many adapters one batch may use, how many are kept in host memory, and their largest rank."""

    slots: int
    kept: int
    rank: int


def lora_room(adapters: Sequence[Adapter], slots: int | None, rank: int | None) -> LoraRoom | None:
    """The room for `adapters` with the file's own `slots` and `rank`, where given; None when none is wanted.

    vLLM takes only certain ranks, so the largest one needed is rounded up; without a rank to go by it is vLLM's 16.
    """
    if not adapters and slots is None and rank is None:
        return None
    ranks = [adapter.rank for adapter in adapters]
    needed = max((one for one in ranks if one is not None), default=_DEFAULT_RANK)
    if None in ranks:
        needed = max(needed, _DEFAULT_RANK)
    room = slots or max(1, len(adapters))
    return LoraRoom(room, max(room, len(adapters)), rank or allowed_rank(needed))


def allowed_rank(needed: int) -> int:
    """The smallest rank that vLLM takes and that holds `needed`; the largest one when none does."""
    return next((rank for rank in LORA_RANKS if rank >= needed), LORA_RANKS[-1])


def _rank_in(folder: Path) -> int:
    try:
        config: Any = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        pattern = config.get("rank_pattern") or {}
        ranks = [config["r"], *pattern.values()]
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(
            f"expected {ADAPTER_CONFIG} in {folder} to be JSON that names the rank r: {error!r}"
        ) from None
    if not all(isinstance(rank, int) and rank > 0 for rank in ranks):
        raise ValueError(f"expected the rank r in {folder / ADAPTER_CONFIG} to be a whole number above 0")
    if max(ranks) > LORA_RANKS[-1]:
        raise ValueError(
            f"{folder / ADAPTER_CONFIG} names rank {max(ranks)}; vLLM takes {LORA_RANKS[-1]} at most"
        )
    return int(max(ranks))
