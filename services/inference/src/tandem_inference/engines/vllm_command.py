"""Turns one declared engine into the command and environment that start vLLM for it."""

import os
from collections.abc import Iterator, Sequence

from tandem_inference.engines.declaration import Engine

LOOPBACK = "127.0.0.1"
# Nothing is sent home, and what could change an engine at run time stays shut whatever this process inherited.
_FIXED_ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PYTHONUNBUFFERED": "1",
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_SERVER_DEV_MODE": "0",
}


def engine_command(
    engine: Engine, port: int, program: Sequence[str], *, sleep_mode: bool = False
) -> list[str]:
    """Return the words that start `engine` on loopback `port`; `program` comes first. `sleep_mode` is vLLM's own."""
    command = [*program, "--host", LOOPBACK, "--port", str(port)]
    command += _declared_flags(engine)
    if sleep_mode:
        command += ["--enable-sleep-mode"]
    command += ["--scheduling-policy", "priority"]
    # The gateway logs and counts requests itself, and health polls would fill the log.
    command += ["--disable-uvicorn-access-log", "--disable-fastapi-docs"]
    return [*command, *engine.extra_args]


def engine_environment(engine: Engine, *, sleep_mode: bool = False) -> dict[str, str]:
    """Return the whole environment for `engine`: this process's, what is fixed, and what the file declares.

    Loading adapters and sleeping are paths of vLLM's own that it opens on these variables alone. The engine listens on
    loopback, and the gateway relays none of them.
    """
    environment = dict(os.environ) | _FIXED_ENVIRONMENT
    if engine.is_local:
        environment["HF_HUB_OFFLINE"] = "1"
    # It is this service's own secret; the engine has no use for it.
    environment.pop("TANDEM_INFERENCE_SERVICE_TOKEN", None)
    environment |= engine.environment
    if engine.lora is not None:
        environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "1"
    if sleep_mode:
        environment["VLLM_SERVER_DEV_MODE"] = "1"
    return environment


def _declared_flags(engine: Engine) -> Iterator[str]:
    given: dict[str, object] = {
        "--model": engine.model,
        "--served-model-name": engine.served_model_name,
        "--revision": engine.revision,
        "--tokenizer": engine.tokenizer,
        "--chat-template": engine.chat_template,
        "--dtype": engine.dtype,
        "--quantization": engine.quantization,
        "--load-format": None if engine.load_format == "auto" else engine.load_format,
        "--max-model-len": engine.max_model_len,
        "--max-num-seqs": engine.max_num_seqs,
        "--max-num-batched-tokens": engine.max_num_batched_tokens,
        "--kv-cache-memory-bytes": None if engine.kv_cache_bytes is None else int(engine.kv_cache_bytes),
        "--gpu-memory-utilization": engine.gpu_memory_utilization,
        "--kv-cache-dtype": None if engine.kv_cache_dtype == "auto" else engine.kv_cache_dtype,
        "--cpu-offload-gb": engine.cpu_offload_gb,
        "--tensor-parallel-size": None if engine.tensor_parallel_size == 1 else engine.tensor_parallel_size,
        "--pipeline-parallel-size": None
        if engine.pipeline_parallel_size == 1
        else engine.pipeline_parallel_size,
    }
    for flag, value in given.items():
        if value is not None:
            yield from (flag, str(value))
    if engine.enable_prefix_caching is not None:
        yield "--enable-prefix-caching" if engine.enable_prefix_caching else "--no-enable-prefix-caching"
    if engine.enforce_eager:
        yield "--enforce-eager"
    if (room := engine.lora) is not None:
        yield from ("--enable-lora", "--max-loras", str(room.slots), "--max-lora-rank", str(room.rank))
        if room.kept > room.slots:
            yield from ("--max-cpu-loras", str(room.kept))
