"""Turns one declared engine into the command and environment that start vLLM for it."""

import os
from collections.abc import Sequence

from tandem_inference.engines.declaration import Engine

LOOPBACK = "127.0.0.1"
# Nothing is sent home, and vLLM's endpoints for development stay shut whatever this process inherited.
_FIXED_ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PYTHONUNBUFFERED": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_SERVER_DEV_MODE": "0",
}


def engine_command(engine: Engine, port: int, program: Sequence[str]) -> list[str]:
    """Return the words that start `engine` on loopback `port`; `program` comes first."""
    command = [*program, "--host", LOOPBACK, "--port", str(port)]
    command += ["--model", engine.model, "--served-model-name", engine.served_model_name]
    if engine.revision is not None:
        command += ["--revision", engine.revision]
    command += ["--dtype", engine.dtype]
    command += ["--max-model-len", str(engine.max_model_len), "--max-num-seqs", str(engine.max_num_seqs)]
    if engine.kv_cache_bytes is not None:
        command += ["--kv-cache-memory-bytes", str(int(engine.kv_cache_bytes))]
    if engine.gpu_memory_utilization is not None:
        command += ["--gpu-memory-utilization", str(engine.gpu_memory_utilization)]
    if engine.enforce_eager:
        command += ["--enforce-eager"]
    command += ["--scheduling-policy", "priority"]
    # The gateway logs and counts requests itself, and health polls would fill the log.
    command += ["--disable-uvicorn-access-log", "--disable-fastapi-docs"]
    return [*command, *engine.extra_args]


def engine_environment(engine: Engine) -> dict[str, str]:
    """Return the whole environment for `engine`: this process's, what is fixed, and what the file declares."""
    environment = dict(os.environ) | _FIXED_ENVIRONMENT
    if engine.is_local:
        environment["HF_HUB_OFFLINE"] = "1"
    # It is this service's own secret; the engine has no use for it.
    environment.pop("TANDEM_INFERENCE_SERVICE_TOKEN", None)
    return environment | engine.environment
