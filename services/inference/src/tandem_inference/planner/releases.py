"""What changed between vLLM releases for memory: engine generation, sampler cost, graph accounting, gates.

Everything here is a rule of vLLM's code at that release, not a property of a model or a card.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from tandem_inference.planner.errors import InvalidValueError

DEFAULT_VERSION: Final = "0.32"
OLDEST: Final = (0, 4)
NEWEST: Final = (0, 40)

Engine = Literal["V0", "V1", "V2"]
"""V0 and V1 are engines; V2 is the V1 engine with the second model runner."""


@dataclass(frozen=True, slots=True, order=True)
class Release:
    """A vLLM release, for comparing."""

    minor: int
    patch: int = 0

    def __str__(self) -> str:
        return f"0.{self.minor}.{self.patch}"


@dataclass(frozen=True, slots=True)
class Rules:
    """How one release spends memory.

    Attributes:
        sampler_bytes: bytes per sampler row and vocabulary entry in the profile run, beside the logits
            themselves (low, likely, high).
        sampler_sort_free: whether the Triton top-k/top-p adds multiprocessors x vocabulary x 4 bytes.
        penalty_bytes: bytes per row and vocabulary entry of counters that stay on the card.
        residual_streams: how many hidden-size copies of a token live beside the MLP in the forward pass.
        graphs_in_budget: whether CUDA graphs are estimated and taken from the KV cache.
        null_block: whether one block is reserved before the start-up check.
        grouped_tokens: whether the logged token figure counts what requests of full length can hold.
        steps_in_flight: batches scheduled but not settled, which sliding windows must keep.
        unsplit_weights: whether weight tensors from 20 MiB on keep their 2 MiB rounding.
        offloads_weights: whether `--cpu-offload-gb` has an effect (the V2 runner ignored it until 0.32).
        context_in_budget: whether the CUDA context counts against this engine's share.
        spare_tables: whether the rope tables of Qwen3-VL and Qwen3.5 reach four times as far as they need.
        state_checkpoints: whether Mamba 2 layers hold one more state per request, at the cached prefix' end.
        default_utilization: of `--gpu-memory-utilization`.
    """

    release: Release
    engine: Engine
    sampler_bytes: tuple[float, float, float]
    sampler_sort_free: bool
    penalty_bytes: float
    residual_streams: int
    graphs_in_budget: bool
    null_block: bool
    grouped_tokens: bool
    steps_in_flight: int
    unsplit_weights: bool
    offloads_weights: bool
    context_in_budget: bool
    spare_tables: bool
    state_checkpoints: bool
    default_utilization: float


def parse_release(text: str) -> Release:
    """`0.32`, `0.32.1`, `v0.27.1`, `0.8.5.post1`, `0.25.0rc1`.

    Raises:
        InvalidValueError: not a vLLM version, or one the rules do not reach.
    """
    match = re.fullmatch(
        r"v?0\.(\d{1,3})(?:\.(\d{1,3}))?(?:(?:[.]?(?:post|dev|rc)|[+a-z-]).{0,40})?", text.strip()
    )
    if not match:
        raise InvalidValueError(
            f"vllm_version must look like 0.32 or 0.27.1; got {text!r:.60}", field="vllm_version"
        )
    release = Release(int(match[1]), int(match[2] or 0))
    if not OLDEST[1] <= release.minor <= NEWEST[1]:
        raise InvalidValueError(
            f"vllm_version must be between 0.{OLDEST[1]} and 0.{NEWEST[1]}; got {text!r:.60}",
            field="vllm_version",
        )
    return release


def engine_of(release: Release, *, dense: bool, capability: float, explicit: Engine | None = None) -> Engine:
    """The engine a release starts by default.

    V1 since 0.8 (from compute capability 8.0 on; V0 was removed in 0.11); the V2 model runner since 0.25.1
    for dense models (vllm issue 49224) and, as far as logs show, since 0.28 for all.
    """
    if explicit is not None:
        return explicit
    if release < Release(8) or (capability < 8.0 and release < Release(11)):
        return "V0"
    if release >= Release(28) or (dense and release >= Release(25, 1)):
        return "V2"
    return "V1"


def _sampler(release: Release, engine: Engine) -> tuple[float, float, float]:
    if engine == "V2":
        return (4.0, 6.0, 8.0) if release >= Release(33) else (0.0, 0.0, 0.0)
    return (36.0, 36.0, 36.0) if engine == "V0" or release < Release(17) else (12.0, 12.0, 12.0)


@lru_cache(maxsize=256)
def rules_for(
    version: str, *, dense: bool = True, capability: float = 8.9, engine: Engine | None = None
) -> Rules:
    """The rules of `version` for a dense or other model on a card of that compute capability.

    Sources: beside the logits sort-based sampling costs 36 bytes a row and entry (sort keys, indices,
    probabilities, cumulative sums); Triton top-k/top-p of 0.17 leaves 12 (fp32 logits, probabilities, noise);
    the V2 runner's profile samples greedily, 0. Graphs are taken from the budget since 0.21 (PR 30515), but
    the V2 runner estimated 0 until 0.28 (issue 49224). In 0.6.4 all memory in use counted, the context
    included (PRs 9352 and 10511). `--gpu-memory-utilization` defaults to 0.9, since 0.20 to 0.92.
    """
    release = parse_release(version)
    kind = engine_of(release, dense=dense, capability=capability, explicit=engine)
    counts_graphs = release >= Release(28) if kind == "V2" else release >= Release(21)
    return Rules(
        release=release,
        engine=kind,
        sampler_bytes=_sampler(release, kind),
        sampler_sort_free=kind == "V1" and release >= Release(17),
        penalty_bytes=4.125 if kind == "V2" else 0.0,
        residual_streams=3 if kind == "V0" else 4,
        graphs_in_budget=counts_graphs,
        null_block=release >= Release(20),
        grouped_tokens=release >= Release(21),
        steps_in_flight=2 if release >= Release(20) else 1,
        unsplit_weights=release >= Release(32),
        offloads_weights=kind != "V2" or release >= Release(32),
        context_in_budget=release.minor == 6 and release.patch == 4,
        spare_tables=release < Release(32),
        state_checkpoints=release >= Release(32),
        default_utilization=0.92 if release >= Release(20) else 0.9,
    )
