"""What `engines.yaml` may say. Finding the file and telling its mistakes by line is `engines_file`'s job.

`docs/reference/engines-file.md` is generated from the fields here.
"""

import json
from pathlib import Path
from typing import Annotated, Literal, Self

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

from tandem_inference.engines import name_rules
from tandem_inference.engines.declared_adapter import Adapter, LoraRoom, lora_room
from tandem_inference.engines.mistake import MistakeError
from tandem_inference.engines.places import folder_or_hub_id, is_folder, relative_to_file
from tandem_inference.engines.refused_flags import known_value, refuse_arguments
from tandem_inference.engines.vllm_values import KV_CACHE_DTYPES, LOAD_FORMATS, LORA_RANKS, QUANTIZATIONS


def _not_refused(arguments: tuple[str, ...]) -> tuple[str, ...]:
    refuse_arguments(arguments)
    return arguments


def _a_rank_of_vllm(rank: int) -> int:
    if rank not in LORA_RANKS:
        raise ValueError(f"vLLM takes only {', '.join(map(str, LORA_RANKS))}; got {rank}")
    return rank


class OnDemand(BaseModel):
    """When an engine that is not needed all the time goes to sleep."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    idle_seconds: float = Field(
        gt=0, allow_inf_nan=False, description="How long without a request until the engine is put to sleep."
    )


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
    served_model_name: str = Field(
        min_length=1, description="The model name that callers use. Copies of one model may share it."
    )
    tokenizer: str | None = Field(
        default=None,
        min_length=1,
        description="A folder or hub id of another tokenizer; by default the model's own.",
    )
    chat_template: str | None = Field(
        default=None,
        min_length=1,
        description="A file with a Jinja chat template, relative to this file; by default the model's own.",
    )
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        default="auto", description="Number format of weights and activations."
    )
    quantization: str | None = Field(
        default=None,
        description="How the weights are quantised; by default what the model's config.json says.",
    )
    load_format: str = Field(
        default="auto", description="How the weights are stored; auto tries safetensors first."
    )
    max_model_len: int = Field(ge=1, description="Longest prompt and answer together, in tokens.")
    max_num_seqs: int = Field(ge=1, description="How many requests run at once.")
    max_num_batched_tokens: int | None = Field(
        default=None, ge=1, description="How many tokens one step computes at most; by default vLLM's choice."
    )
    kv_cache_bytes: ByteSize | None = Field(
        default=None, gt=0, description="Size of the KV cache, e.g. 1GiB. Overrides the share of the card."
    )
    gpu_memory_utilization: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Share of the whole card's memory that the engine may use in all.",
    )
    kv_cache_dtype: str = Field(
        default="auto", description="Number format of the KV cache; auto is the model's own, fp8 halves it."
    )
    cpu_offload_gb: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="How many GiB (2^30 bytes) of each card's weights are kept in host memory instead.",
    )
    tensor_parallel_size: int = Field(
        default=1, ge=1, le=1024, description="Over how many cards each layer is divided."
    )
    pipeline_parallel_size: int = Field(
        default=1, ge=1, le=1024, description="Over how many cards the layers are dealt out."
    )
    enable_prefix_caching: bool | None = Field(
        default=None,
        description="Keep the KV cache of common beginnings; by default on where the model allows it.",
    )
    enforce_eager: bool = Field(
        default=False, description="Start faster and run slower: no compilation, no CUDA graphs."
    )
    adapters: tuple[Adapter, ...] = Field(
        default=(), description="LoRA adapters of the model, loaded at start and after every restart."
    )
    max_loras: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="How many adapters one batch may use, each taking memory; by default as many as are declared.",
    )
    max_lora_rank: Annotated[int, AfterValidator(_a_rank_of_vllm)] | None = Field(
        default=None,
        description="Largest rank of an adapter. By default that of the declared folders, 16 for hub adapters. "
        "Given, it leaves room for adapters that are added at run time.",
    )
    on_demand: OnDemand | None = Field(
        default=None,
        description="Sleep when idle and wake on a request; by default the engine is always awake.",
    )
    extra_args: Annotated[tuple[str, ...], AfterValidator(_not_refused)] = Field(
        default=(), description="More flags for vLLM, one word each, passed on as they are."
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="More environment variables for the engine."
    )

    @field_validator("model")
    @classmethod
    def _find_model(cls, model: str, info: ValidationInfo) -> str:
        return folder_or_hub_id(model, info.context, holding="config.json")

    @field_validator("tokenizer")
    @classmethod
    def _find_tokenizer(cls, tokenizer: str, info: ValidationInfo) -> str:
        return folder_or_hub_id(tokenizer, info.context, holding="tokenizer_config.json")

    @field_validator("chat_template")
    @classmethod
    def _find_template(cls, template: str, info: ValidationInfo) -> str:
        path = relative_to_file(template, info.context)
        if not path.is_file():
            raise ValueError(f"expected a file with a chat template, and there is no {path}")
        return str(path)

    @field_validator("quantization")
    @classmethod
    def _know_quantization(cls, value: str) -> str:
        return known_value("quantization", value, QUANTIZATIONS)

    @field_validator("load_format")
    @classmethod
    def _know_load_format(cls, value: str) -> str:
        return known_value("load_format", value, LOAD_FORMATS)

    @field_validator("kv_cache_dtype")
    @classmethod
    def _know_kv_cache_dtype(cls, value: str) -> str:
        return known_value("kv_cache_dtype", value, KV_CACHE_DTYPES)

    @model_validator(mode="after")
    def _contradict_nothing(self) -> Self:
        self._check_revision()
        self._check_batch()
        self._check_heads()
        self._check_ranks()
        return self

    @property
    def is_local(self) -> bool:
        """Whether the model lies in a folder, so that the hub need not be reached."""
        return is_folder(self.model) and (self.tokenizer is None or is_folder(self.tokenizer))

    @property
    def lora(self) -> LoraRoom | None:
        """The engine's room for adapters; None when it is started without LoRA."""
        return lora_room(self.adapters, self.max_loras, self.max_lora_rank)

    def _check_revision(self) -> None:
        if self.revision is not None and is_folder(self.model):
            raise MistakeError(
                "only a hub model has one; remove it, or name the model by its hub id", "revision"
            )

    def _check_batch(self) -> None:
        tokens = self.max_num_batched_tokens
        if tokens is None:
            return
        if tokens < self.max_num_seqs:
            raise MistakeError(
                f"{tokens} is less than max_num_seqs, {self.max_num_seqs}, and a step computes a token of each request; "
                "raise the former or lower the latter",
                "max_num_batched_tokens",
            )
        if "--no-enable-chunked-prefill" in self.extra_args and tokens < self.max_model_len:
            raise MistakeError(
                f"{tokens} is less than max_model_len, {self.max_model_len}, and without chunked prefill a prompt is computed "
                "in one step; raise the former, or remove --no-enable-chunked-prefill",
                "max_num_batched_tokens",
            )

    def _check_heads(self) -> None:
        if self.tensor_parallel_size == 1 or not is_folder(self.model):
            return
        try:
            config = json.loads((Path(self.model) / "config.json").read_text(encoding="utf-8"))
            heads = config.get("num_attention_heads")
        except (OSError, ValueError, AttributeError):
            return  # the engine's start will tell
        if isinstance(heads, int) and heads % self.tensor_parallel_size:
            raise MistakeError(
                f"the model's {heads} attention heads cannot be divided over {self.tensor_parallel_size} cards; use a divisor",
                "tensor_parallel_size",
            )

    def _check_ranks(self) -> None:
        for adapter in self.adapters:
            needed = adapter.rank
            if needed and self.max_lora_rank and needed > self.max_lora_rank:
                raise MistakeError(
                    f"{self.max_lora_rank} is less than the rank of the adapter {adapter.name!r}, {needed}; raise the former, "
                    f"or leave it out",
                    "max_lora_rank",
                )


class DeclaredEngines(BaseModel):
    """The whole file: engines in its order, which also gives them their ports."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start_order: Literal["small_first", "as_listed"] = Field(
        default="small_first",
        description="In which order engines start: by the size of their weights, or as the file lists them.",
    )
    engines: tuple[Engine, ...] = Field(min_length=1, description="The engines, one or more.")

    @model_validator(mode="after")
    def _tell_engines_apart(self) -> Self:
        name_rules.check(self.engines)
        return self
