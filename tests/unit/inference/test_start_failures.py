"""What is said and proposed when vLLM cannot start: the texts are vLLM 0.32's own, torch's and the hub's."""

from typing import Any

import pytest

from tandem_inference.engines.start_failures import StartFailure, explain_start
from tests.support.inference_service import declared_engine

CORE = "(EngineCore pid=587) ERROR 09-10 12:00:41 [core.py:1224] ValueError: "
LONG = (
    CORE
    + "To serve at least one request with the model's max seq len (2048), (0.5 GiB KV cache is needed, which is larger "
    "than the available KV cache memory (0.31 GiB). Based on the available memory, the estimated maximum model length is "
    "1264. Try increasing `gpu_memory_utilization` (which also controls CPU memory on the CPU backend) or decreasing "
    "`max_model_len` when initializing the engine."
)
NO_CACHE = (
    "(EngineCore pid=587) INFO 09-10 12:00:41 [gpu_model_runner.py:6474] Estimated CUDA graph memory: 0.55 GiB total\n"
    "(EngineCore pid=587) INFO 09-10 12:00:41 [gpu_worker.py:772] CUDA graph memory profiling is enabled (default since "
    "v0.21.0). The current --gpu-memory-utilization=0.5000 is equivalent to --gpu-memory-utilization=0.4750 without\n"
    "(EngineCore pid=587) INFO 09-10 12:00:41 [gpu_worker.py:759] Available KV cache memory: -2.9 GiB\n"
    + CORE
    + "No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine"
)
FREE = (
    CORE
    + "Free memory on device cuda:0 (17.1/22.05 GiB) on startup is less than desired GPU memory utilization "
    "(0.92, 20.29 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes."
)
UNKNOWN = (
    "(APIServer pid=411) pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
    "(APIServer pid=411)   Value error, Model architectures ['FooForCausalLM'] are not supported for now. Supported "
    "architectures: dict_keys(['AfmoeForCausalLM', 'ApertusForCausalLM'])"
)
OTHER = (
    "(APIServer pid=411) pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
    "(APIServer pid=411)   Value error, Sleep mode is not supported on current platform. [type=value_error]"
)
HUB = (
    "(APIServer pid=411) huggingface_hub.errors.GatedRepoError: 401 Client Error. (Request ID: Root=1-68)\n"
    "Cannot access gated repo for url https://huggingface.co/meta-llama/Llama-3.1-8B/resolve/main/config.json."
)
KERNEL = (
    "(EngineCore pid=587) ERROR 09-10 12:00:41 [core.py:1224] torch.AcceleratorError: CUDA error: no kernel image is "
    "available for execution on the device"
)
PORT = "OSError: [Errno 98] error while attempting to bind on address ('127.0.0.1', 8801): address already in use"


def _explain(text: str, **fields: Any) -> StartFailure:
    failure = explain_start(declared_engine(**fields), text.splitlines())
    assert failure is not None
    return failure


@pytest.mark.parametrize(
    ("text", "fields", "sentence", "proposal"),
    [
        (
            LONG,
            {},
            "2048 tokens needs 0.5 GiB",
            "max_model_len: 1264 (now 2048), or raise gpu_memory_utilization",
        ),
        (LONG, {"kv_cache_bytes": "317MiB"}, "0.31 GiB are available", "kv_cache_bytes: 523MiB"),
        (
            NO_CACHE,
            {"gpu_memory_utilization": 0.5},
            "nothing is left for the KV cache",
            "gpu_memory_utilization: 0.66 (now 0.5)",
        ),
        (
            CORE + "No available memory for the cache blocks.",
            {},
            "nothing is left",
            "Raise gpu_memory_utilization",
        ),
        (UNKNOWN, {}, "does not know the model's architecture", "model: "),
        (OTHER, {}, "Sleep mode is not supported", "fields that the sentence names"),
        (HUB, {}, "wants a token", "HF_TOKEN"),
        (KERNEL, {}, "no code for the card's generation", "install a build"),
        (
            "api_server.py: error: unrecognized arguments: --frobnicate",
            {},
            "--frobnicate is not a flag",
            "Remove --frobnicate",
        ),
        (
            "api_server.py: error: argument --max-logprobs: invalid int value: 'x'",
            {},
            "--max-logprobs: invalid int",
            "Correct",
        ),
        (
            (
                "ValueError: User-specified max_model_len (9000) is greater than the derived max_model_len "
                "(max_position_embeddings=8192 or model_max_length=None in model's config.json)."
            ),
            {},
            "trained for 8192 tokens",
            "max_model_len: 8192 (now 2048).",
        ),
    ],
)
def test_a_failure_that_would_come_again_is_final_and_has_a_proposal(
    text: str, fields: dict[str, Any], sentence: str, proposal: str
) -> None:
    failure = _explain(text, **fields)
    assert sentence in failure.sentence
    assert proposal in failure.proposal
    assert not failure.passing


def test_the_proposed_length_or_cache_is_enough_by_the_engines_own_numbers() -> None:
    assert 523 * 2**20 >= 0.505 * 2**30  # what was needed may have been rounded down to 0.5
    assert "523MiB" in _explain(LONG, kv_cache_bytes="317MiB").proposal


@pytest.mark.parametrize(
    ("text", "fields", "proposal"),
    [
        (
            FREE,
            {"gpu_memory_utilization": 0.92},
            "gpu_memory_utilization: 0.77 (now 0.92)",
        ),  # 17.1 / 22.05 = 0.7755
        (FREE.replace("17.1/", "0.1/"), {}, "Stop what else uses the card"),
        (PORT, {}, "TANDEM_INFERENCE_ENGINE_FIRST_PORT"),
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 150.00 MiB.",
            {},
            "Give gpu_memory_utilization",
        ),
        (
            "AssertionError: Error in memory profiling. Initial free memory 17.1 GiB, current free memory 21.0 GiB.",
            {},
            "start nothing else",
        ),
    ],
)
def test_a_failure_that_may_pass_is_tried_again(text: str, fields: dict[str, Any], proposal: str) -> None:
    failure = _explain(text, **fields)
    assert proposal in failure.proposal
    assert failure.passing


def test_a_share_that_cannot_be_enough_is_not_proposed() -> None:
    proposal = _explain(NO_CACHE.replace("-2.9", "-14.9"), gpu_memory_utilization=0.5).proposal
    assert "gpu_memory_utilization: " not in proposal
    assert "too small" in proposal


def test_output_that_shows_nothing_known_is_left_to_the_restart_policy() -> None:
    assert explain_start(declared_engine(), ["Killed", "Segmentation fault"]) is None
    assert explain_start(declared_engine(), []) is None
