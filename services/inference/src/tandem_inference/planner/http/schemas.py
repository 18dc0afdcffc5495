"""Request bodies of the planner's own HTTP calls; the published call's body is `published.request`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class PlanRequest(BaseModel):
    """Engines as in engines.yaml and the card to put them on."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [
                {
                    "gpu": "L4",
                    "engines": [
                        {"name": "chat", "model": "Qwen/Qwen2.5-7B-Instruct-AWQ", "max_model_len": 8192},
                        {"name": "feedback", "model": "Qwen/Qwen2.5-3B-Instruct", "max_model_len": 4096},
                    ],
                }
            ]
        },
    )

    engines: Annotated[list[Any], Field(min_length=1, max_length=16)]
    gpu: Annotated[str, Field(min_length=1, max_length=60)] = "L4"
    profile: Literal["conservative", "balanced", "aggressive"] = "balanced"
    vllm_version: Annotated[str, Field(min_length=3, max_length=40)] = "0.32"
    memory_in_use_gib: Annotated[float, Field(ge=0, le=10000)] = 0.0
