"""What `engines.yaml` may say. Finding the file and telling its mistakes by line is `engines_file`'s job."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_PATH_STARTS = ("./", "../", "/", "~")
# Decided by the supervisor, or by a field of the declaration.
_RESERVED_FLAGS = {
    "--api-key": "TANDEM_INFERENCE_SERVICE_TOKEN",
    "--dtype": "the field dtype",
    "--enforce-eager": "the field enforce_eager",
    "--gpu-memory-utilization": "the field gpu_memory_utilization",
    "--host": "nothing: engines listen on loopback only",
    "--kv-cache-memory-bytes": "the field kv_cache_bytes",
    "--max-model-len": "the field max_model_len",
    "--max-num-seqs": "the field max_num_seqs",
    "--model": "the field model",
    "--port": "TANDEM_INFERENCE_ENGINE_FIRST_PORT",
    "--revision": "the field revision",
    "--scheduling-policy": "nothing: requests are scheduled by class",
    "--served-model-name": "the field served_model_name",
}


def _not_reserved(argument: str) -> str:
    flag = argument.split("=", 1)[0].replace("_", "-")
    if instead := _RESERVED_FLAGS.get(flag):
        raise ValueError(f"{flag} cannot be given here; use {instead}")
    return argument


class Engine(BaseModel):
    """One engine: one model, served under one name, in one group of processes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}$",
        description="Short name for logs and metrics: lower-case letters, digits, hyphens.",
    )
    model: str = Field(
        min_length=1,
        description="A folder (starting with ./ ../ / or ~; relative to this file) or a Hugging Face hub id.",
    )
    revision: str | None = Field(
        default=None, min_length=1, description="Branch, tag or commit of a hub model; a commit is best."
    )
    served_model_name: str = Field(min_length=1, description="The model name that callers use.")
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        default="auto", description="Number format of weights and activations."
    )
    max_model_len: int = Field(ge=1, description="Longest prompt and answer together, in tokens.")
    max_num_seqs: int = Field(ge=1, description="How many requests run at once.")
    kv_cache_bytes: ByteSize | None = Field(
        default=None, gt=0, description="Size of the KV cache, e.g. 1GiB. Overrides the share of the card."
    )
    gpu_memory_utilization: float | None = Field(
        default=None, gt=0, le=1, description="Share of the card's memory that the engine may use in all."
    )
    enforce_eager: bool = Field(
        default=False, description="Start faster and run slower: no compilation, no CUDA graphs."
    )
    extra_args: tuple[Annotated[str, AfterValidator(_not_reserved)], ...] = Field(
        default=(), description="More flags for vLLM, one word each, passed on as they are."
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="More environment variables for the engine."
    )

    @field_validator("model")
    @classmethod
    def _find_model(cls, model: str, info: ValidationInfo) -> str:
        if not model.startswith(_PATH_STARTS):
            if _HUB_ID.fullmatch(model):
                return model
            raise ValueError(
                "expected a folder starting with ./ ../ / or ~, or a hub id such as organisation/name"
            )
        folder = _relative_to_file(Path(model).expanduser(), info.context)
        if not (folder / "config.json").is_file():
            raise ValueError(f"expected a folder with a model in it, and there is no config.json in {folder}")
        return str(folder)

    @model_validator(mode="after")
    def _only_hub_models_have_revisions(self) -> Self:
        if self.revision is not None and self.is_local:
            raise ValueError("revision: only a hub model has one; remove it, or name the model by its hub id")
        return self

    @property
    def is_local(self) -> bool:
        """Whether the model lies in a folder, so that the hub need not be reached."""
        return Path(self.model).is_absolute()


class DeclaredEngines(BaseModel):
    """The whole file: engines in the order in which they are started."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engines: tuple[Engine, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _tell_engines_apart(self) -> Self:
        for field in ("name", "served_model_name"):
            seen: set[str] = set()
            for engine in self.engines:
                value = getattr(engine, field)
                if value in seen:
                    raise ValueError(f"{field} {value!r} is given to two engines; each needs its own")
                seen.add(value)
        return self


def _relative_to_file(folder: Path, context: dict[str, Any] | None) -> Path:
    start: Path = (context or {}).get("folder", Path.cwd())
    return (start / folder).resolve()
