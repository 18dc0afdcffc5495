"""The planner's view of one engine in engines.yaml: the fields that decide memory; all others are left to the service."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from tandem_inference.planner.engine import EngineFlags
from tandem_inference.planner.errors import InvalidValueError, UnreadableConfigError
from tandem_inference.planner.lora import RANKS
from tandem_inference.planner.mistakes import in_words
from tandem_inference.planner.several.adapter_ranks import add_ranks
from tandem_inference.planner.several.unplanned import refuse_unplanned

LARGEST_FILE_BYTES = 1024 * 1024
MOST_ENGINES = 16

_FLAGS = {
    "--tensor-parallel-size": "tensor_parallel",
    "-tp": "tensor_parallel",
    "--pipeline-parallel-size": "pipeline_parallel",
    "--quantization": "quantization",
    "-q": "quantization",
    "--kv-cache-dtype": "kv_cache_dtype",
    "--max-num-batched-tokens": "max_num_batched_tokens",
    "--max-loras": "max_loras",
    "--max-lora-rank": "max_lora_rank",
    "--cpu-offload-gb": "cpu_offload_gib",
    "--block-size": "block_size",
    "--kv-cache-memory-bytes": "kv_cache_memory_bytes",
    "--gpu-memory-utilization": "gpu_memory_utilization",
    "--dtype": "dtype",
    "--max-model-len": "max_model_len",
    "--max-num-seqs": "max_num_seqs",
}

Count = Annotated[int, Field(ge=1, le=10**8)]


class LoraView(BaseModel):
    """How many adapters may be active at once, and their largest rank."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    max_loras: Annotated[int, Field(ge=1, le=1024)] = 1
    max_lora_rank: int = Field(default=16, validation_alias=AliasChoices("max_lora_rank", "rank"))


class EngineView(BaseModel):
    """One engine as declared. Fields that do not decide memory are ignored, names of vLLM's flags are accepted."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    name: str = Field(min_length=1, max_length=100)
    model: str = Field(min_length=1, max_length=300)
    dtype: str = "auto"
    quantization: str | None = None
    kv_cache_dtype: str = "auto"
    max_model_len: Count | None = None
    max_num_seqs: Count | None = None
    max_num_batched_tokens: Count | None = None
    gpu_memory_utilization: float | None = Field(default=None, gt=0, le=1)
    kv_cache_memory_bytes: int | None = Field(
        default=None, validation_alias=AliasChoices("kv_cache_memory_bytes", "kv_cache_bytes"), ge=1
    )
    tensor_parallel: Annotated[int, Field(ge=1, le=64)] = Field(
        default=1, validation_alias=AliasChoices("tensor_parallel", "tensor_parallel_size")
    )
    pipeline_parallel: Annotated[int, Field(ge=1, le=64)] = Field(
        default=1, validation_alias=AliasChoices("pipeline_parallel", "pipeline_parallel_size")
    )
    enforce_eager: bool = False
    lora: LoraView | None = None
    adapters: tuple[Any, ...] = ()
    max_loras: int | None = Field(default=None, ge=1, le=1024)
    max_lora_rank: int | None = None
    cpu_offload_gib: float = Field(
        default=0.0, validation_alias=AliasChoices("cpu_offload_gib", "cpu_offload_gb"), ge=0, le=10**5
    )
    block_size: int | None = None
    extra_args: tuple[str, ...] = ()
    as_listed: bool = Field(default=False, exclude=True)  # the file's start_order, not the engine's

    @model_validator(mode="before")
    @classmethod
    def _read_sizes_and_words(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        read = dict(data)
        for key in ("kv_cache_memory_bytes", "kv_cache_bytes"):
            if isinstance(read.get(key), str):
                read[key] = size_in_bytes(read[key], field=key)
        if isinstance(read.get("adapters"), dict):
            read["lora"] = read.pop("adapters")
        words = read.get("extra_args")
        if isinstance(words, list | tuple) and all(isinstance(word, str) for word in words):
            read = {**_flags_in(tuple(words)), **read}
        return read

    def flags(self, *, vllm_version: str) -> EngineFlags:
        """The engine's flags; slots are counted when adapters are declared at all."""
        slots, rank = self._slots()
        return EngineFlags(
            dtype=self.dtype,
            quantization=self.quantization,
            kv_cache_dtype=self.kv_cache_dtype,
            max_model_len=self.max_model_len,
            max_num_seqs=self.max_num_seqs,
            max_num_batched_tokens=self.max_num_batched_tokens,
            gpu_memory_utilization=self.gpu_memory_utilization,
            kv_cache_memory_bytes=self.kv_cache_memory_bytes,
            tensor_parallel=self.tensor_parallel,
            pipeline_parallel=self.pipeline_parallel,
            enforce_eager=self.enforce_eager,
            max_loras=slots,
            max_lora_rank=rank,
            cpu_offload_gib=self.cpu_offload_gib,
            block_size=self.block_size,
            vllm_version=vllm_version,
        )

    def _slots(self) -> tuple[int, int]:
        if self.lora is not None:
            return self.lora.max_loras, self.lora.max_lora_rank
        ranks = [
            one["rank"] for one in self.adapters if isinstance(one, dict) and isinstance(one.get("rank"), int)
        ]
        needed = max(ranks, default=16)
        rank = self.max_lora_rank or next((one for one in RANKS if one >= needed), needed)
        if self.max_loras is not None:
            return self.max_loras, rank
        wanted = bool(self.adapters) or self.max_lora_rank is not None or "--enable-lora" in self.extra_args
        return (max(1, len(self.adapters)) if wanted else 0), rank


def size_in_bytes(text: str, *, field: str) -> int:
    """`1GiB`, `512MiB`, `2GB`, `1.5 GiB` or a plain number of bytes."""
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,6})?)\s*([KMGT]?)(i?)B?\s*", text, re.IGNORECASE)
    if not match:
        raise InvalidValueError(f"{field} must be a size such as 1GiB; got {text!r:.40}", field=field)
    power = " KMGT".index(match[2].upper() or " ")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** power)


def _flags_in(words: tuple[str, ...]) -> dict[str, Any]:
    """Memory-relevant flags among `extra_args`, as `--flag value` or `--flag=value`."""
    found: dict[str, Any] = {}
    split = [
        part for word in words for part in (word.split("=", maxsplit=1) if word.startswith("--") else [word])
    ]
    for flag, value in pairwise(split):
        if flag in _FLAGS:
            found[_FLAGS[flag]] = _plain_number(value)
    if "--enforce-eager" in split:
        found["enforce_eager"] = True
    return found


def _plain_number(text: str) -> str:
    """The shorthand of whole numbers that vLLM takes: `8k` is 8000 and `8K` 8192; anything else stays as it is."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([kmgKMG])", text)
    if not match:
        return text
    step = 1000 if match[2].islower() else 1024
    return str(int(float(match[1]) * step ** (" kmg".index(match[2].lower()))))


def explain(error: ValidationError) -> InvalidValueError:
    """The first mistake pydantic found, as one sentence."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    words = in_words({**first})
    return InvalidValueError(f"{field}: {words}" if field else words, field=field)


def read_engines(values: Any) -> tuple[EngineView, ...]:
    """The engines of a parsed engines.yaml: a list, or an object with `engines`.

    Raises:
        InvalidValueError: nothing to plan, too many engines, two of one name, or a wrong field.
    """
    listed = values.get("engines") if isinstance(values, dict) else values
    if not isinstance(listed, list) or not listed:
        raise InvalidValueError("engines must be a list with at least one engine", field="engines")
    if len(listed) > MOST_ENGINES:
        raise InvalidValueError(
            f"at most {MOST_ENGINES} engines can be planned; got {len(listed)}", field="engines"
        )
    found = []
    for position, one in enumerate(listed):
        where = f"engines.{position}"
        try:
            if isinstance(one, dict):
                refuse_unplanned(one)
            found.append(EngineView.model_validate(one))
        except (ValidationError, InvalidValueError) as error:
            mistake = explain(error) if isinstance(error, ValidationError) else error
            if not mistake.field:
                raise InvalidValueError(f"{where}: {mistake.message}", field=where) from error
            raise InvalidValueError(f"{where}.{mistake.message}", field=f"{where}.{mistake.field}") from error
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise InvalidValueError(
                f"two engines are called {name!r:.60}; each needs its own name", field="engines"
            )
    as_listed = isinstance(values, dict) and values.get("start_order") == "as_listed"
    return tuple(one.model_copy(update={"as_listed": as_listed}) for one in found)


def read_engines_file(path: Path) -> tuple[EngineView, ...]:
    """Raises `UnreadableConfigError` when the file cannot be read or is not YAML."""
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise UnreadableConfigError(f"{path} is larger than 1 MiB", field="engines")
        parsed = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnreadableConfigError(f"cannot read {path}: {error.strerror}", field="engines") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        text = str(error).replace("\n", " ")[:200]
        raise UnreadableConfigError(f"{path} is not YAML: {text}", field="engines") from error
    add_ranks(parsed, path.parent)
    return read_engines(parsed)
