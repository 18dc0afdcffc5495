"""The request of `POST /estimate-gpu-memory`, field by field as published, with its limits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

DTYPES = ("float32", "float16", "bfloat16", "int8", "int4")
KV_DTYPES = (*DTYPES, "fp8", "fp8_e4m3", "fp8_e5m2", "auto")
QUANTIZATIONS = ("Q4", "Q8")
LONGEST = 10**8
SMALLEST_SHARE = 0.0001
"""The recommended memory is divided by the share: below this the answer would be no number."""

Tokens = Annotated[int, Field(strict=True, ge=1, le=LONGEST)]
Width = Annotated[int, Field(strict=True, ge=1, le=10**7)]


class Architecture(BaseModel):
    """Dimensions that replace the catalogue's; those left out are taken from it or follow from the size."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_layers: Annotated[int, Field(strict=True, ge=1, le=10000)] | None = None
    hidden_size: Width | None = None
    num_heads: Annotated[int, Field(strict=True, ge=1, le=10**5)] | None = None
    head_dim: Annotated[int, Field(strict=True, ge=1, le=10**5)] | None = None
    intermediate_size: Width | None = None
    num_key_value_heads: Annotated[int, Field(strict=True, ge=1, le=10**5)] | None = None
    vocab_size: Width | None = None


class MemoryRequest(BaseModel):
    """What is asked; every field but the model's name and the sequence length has the published default."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [
                {
                    "model_name": "meta-llama/Llama-2-7b",
                    "max_seq_len": 2048,
                    "dtype": "float16",
                    "max_batch_size": 32,
                    "gpu_memory_utilization": 0.9,
                }
            ]
        },
    )

    model_name: Annotated[str, Field(strict=True, min_length=1, max_length=300)]
    max_seq_len: Tokens
    dtype: str = "float16"
    kv_cache_dtype: str | None = None
    max_batch_size: Annotated[int, Field(strict=True, ge=1, le=10**6)] = 32
    max_model_len: Tokens | None = None
    gpu_memory_utilization: float = 0.9
    quantization: str | None = None
    params_billions: Annotated[float, Field(gt=0, le=10**5)] | None = None
    architecture: Architecture | None = None
    formula: Literal["vllm", "2025"] = "vllm"
    unit: Literal["GB", "GiB"] = "GB"
    gpu: Annotated[str, Field(min_length=1, max_length=60)] = "L4"
    vllm_version: Annotated[str, Field(min_length=3, max_length=40)] = "0.32"

    @field_validator("dtype", "max_batch_size", "gpu_memory_utilization", mode="before")
    @classmethod
    def _null_means_default(cls, value: Any, info: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("must not be true or false")  # noqa: TRY004 - pydantic turns only ValueError into a field error
        if value is None:
            return cls.model_fields[info.field_name].default
        return value

    @field_validator("gpu_memory_utilization", "params_billions", mode="before")
    @classmethod
    def _numbers_are_no_words(cls, value: Any) -> Any:
        if isinstance(value, str | bool):
            raise ValueError("must be a number")  # noqa: TRY004 - as above
        return value

    @field_validator("gpu_memory_utilization")
    @classmethod
    def _possible_share(cls, value: float) -> float:
        if not SMALLEST_SHARE <= value <= 1:
            raise ValueError(f"must be greater than 0 and at most 1; got {value:g}")
        return value

    @field_validator("dtype")
    @classmethod
    def _known_dtype(cls, value: str) -> str:
        if value not in DTYPES:
            raise ValueError(f"must be one of {', '.join(DTYPES)}; got {value!r:.60}")
        return value

    @field_validator("kv_cache_dtype")
    @classmethod
    def _known_kv_dtype(cls, value: str | None) -> str | None:
        if value is not None and value not in KV_DTYPES:
            raise ValueError(f"must be one of {', '.join(KV_DTYPES)}; got {value!r:.60}")
        return value

    @field_validator("quantization")
    @classmethod
    def _known_quantization(cls, value: str | None) -> str | None:
        if value is not None and value not in QUANTIZATIONS:
            raise ValueError(f"must be one of {', '.join(QUANTIZATIONS)} or null; got {value!r:.60}")
        return value

    @property
    def full_length(self) -> int:
        return self.max_model_len or self.max_seq_len
