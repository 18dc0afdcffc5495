"""Recognises why an engine could not start, says it in a plain sentence, and proposes the change of the file that helps.

What vLLM prints is recognised by the planner's table of symptoms; here stands what each one means for a declared engine.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tandem_inference.engines.declaration import Engine
from tandem_inference.planner.reported.doctor import Finding, find_symptoms

_SHARE_STEP: Final = 0.01
_SPARE_GIB: Final = 0.5  # what a share is raised by above the least, as sizes vary from start to start
# These may pass by themselves: another program ends, a neighbour has finished its start.
_PASSING: Final = frozenset(
    {"free_memory", "port_in_use", "profiling_disturbed", "out_of_memory", "out_of_memory_graphs"}
)
_NO_FAILURE: Final = frozenset({"negative_non_torch"})


@dataclass(frozen=True)
class StartFailure:
    """Why a start failed; `passing` ones may be tried again as they are, the others fail again."""

    symptom: str
    sentence: str
    proposal: str
    passing: bool


def explain_start(engine: Engine, lines: Sequence[str]) -> StartFailure | None:
    """What the output of `engine`'s failed start shows; None when nothing in it is known."""
    text = "\n".join(lines)
    found = [finding for finding in find_symptoms(text) if finding.id not in _NO_FAILURE]
    if not found:
        return None
    finding = found[0]
    return StartFailure(finding.id, finding.cause, _proposal(engine, finding, text), finding.id in _PASSING)


def _proposal(engine: Engine, finding: Finding, text: str) -> str:
    if fixed := _FIXED_PROPOSALS.get(finding.id):
        return fixed
    try:
        return _PROPOSALS[finding.id](engine, text)
    except LookupError:  # a symptom without a change of its own, or numbers told in other words than known
        return finding.remedy


_Proposal = Callable[[Engine, str], str]


def _fit_free_memory(engine: Engine, text: str) -> str:
    free, total = _numbers(r"\(([\d.]+)/([\d.]+) GiB\) on startup", text)
    share = math.floor(free / total / _SHARE_STEP) * _SHARE_STEP
    if share <= 0:
        return "Stop what else uses the card; nvidia-smi lists it."
    return f"gpu_memory_utilization: {share:.2f} (now {_share(engine)}), or stop what else uses the card; nvidia-smi lists it."


def _raise_share(engine: Engine, text: str) -> str:
    card_gib = _card_gib(text)
    missing = re.search(r"Available KV cache memory: -([\d.]+) GiB", text)
    declared = engine.gpu_memory_utilization
    others = (
        "a smaller or quantised model, or a lower max_num_seqs or max_num_batched_tokens, leaves more, too."
    )
    if missing is None or card_gib is None or declared is None:
        return f"Raise gpu_memory_utilization (now {_share(engine)}); {others}"
    share = declared + (float(missing[1]) + _SPARE_GIB) / card_gib
    share = math.ceil(share / _SHARE_STEP) * _SHARE_STEP
    if share >= 1:
        return f"The card is too small for this engine as it is; {others}"
    return f"gpu_memory_utilization: {share:.2f} (now {declared}); {others}"


def _card_gib(text: str) -> float | None:
    """The card's memory, which vLLM does not print as such: from a share of it, or from what the CUDA graphs are of it."""
    if share := re.search(r"Requested memory: ([\d.]+) \(util\), ([\d.]+) GiB", text):
        return float(share[2]) / float(share[1])
    graphs = re.search(r"Estimated CUDA graph memory: ([\d.]+) GiB", text)
    shares = re.search(
        r"gpu-memory-utilization=([\d.]+) is equivalent to --gpu-memory-utilization=([\d.]+)", text
    )
    if graphs and shares and float(shares[1]) > float(shares[2]):
        return float(graphs[1]) / (float(shares[1]) - float(shares[2]))
    return None


def _fit_length(engine: Engine, text: str) -> str:
    needed, available = _numbers(r"\(([\d.]+) GiB KV\s+cache is needed[^(]*\(([\d.]+) GiB\)", text)
    longest = re.search(r"estimated maximum model length is (\d+)", text)
    now = f"(now {engine.max_model_len})"
    shorter = f"max_model_len: {longest[1]} {now}" if longest else f"Lower max_model_len {now}"
    if engine.kv_cache_bytes is not None:
        mebibytes = math.ceil((needed + 0.01) * 1024)
        return f"{shorter}, or kv_cache_bytes: {mebibytes}MiB (now {available} GiB)."
    return f"{shorter}, or raise gpu_memory_utilization (now {_share(engine)})."


def _fit_model(engine: Engine, text: str) -> str:
    (tokens,) = _numbers(r"derived max_model_len \(\S*?(\d+)", text)
    return f"max_model_len: {tokens:.0f} (now {engine.max_model_len})."


def _lower_share(engine: Engine, text: str) -> str:
    if engine.gpu_memory_utilization is None:
        return "Give gpu_memory_utilization, e.g. 0.88 (vLLM's default is 0.92), or a lower max_num_seqs."
    share = max(0.01, engine.gpu_memory_utilization - 0.03)
    return (
        f"gpu_memory_utilization: {share:.2f} (now {engine.gpu_memory_utilization}), or a lower max_num_seqs."
    )


def _without_graphs(engine: Engine, text: str) -> str:
    return f"{_lower_share(engine, text)} Or enforce_eager: true, which captures no graphs."


def _drop_argument(engine: Engine, text: str) -> str:
    match = re.search(r"unrecognized arguments: (\S+)", text)
    return f"Remove {match[1] if match else 'the flag'} from extra_args."


_PROPOSALS: Final[dict[str, _Proposal]] = {
    "free_memory": _fit_free_memory,
    "no_cache_memory": _raise_share,
    "context_too_long": _fit_length,
    "length_beyond_model": _fit_model,
    "out_of_memory": _lower_share,
    "out_of_memory_graphs": _without_graphs,
    "removed_flag": _drop_argument,
    "unknown_flag": _drop_argument,
}
_FIXED_PROPOSALS: Final = {
    "profiling_disturbed": "No change: start nothing else on this card meanwhile.",
    "bfloat16": "dtype: float16.",
    "block_size": "Remove --block-size from extra_args; check kv_cache_dtype against the card.",
    "quantization_gone": "Leave quantization out, and name an AWQ, GPTQ or fp8 copy as model.",
    "no_kernel": "No field helps: install a build of vLLM for this card's generation.",
    "gated_model": "No field helps: accept the model's licence on the hub and set HF_TOKEN for the service; check model and revision.",
    "port_in_use": "No field helps: stop the program that uses the port, or set TANDEM_INFERENCE_ENGINE_FIRST_PORT.",
    "unsupported_architecture": "model: one of an architecture that vLLM 0.32 lists as supported.",
    "wrong_value": "Correct the field or extra_args that the sentence names.",
    "refused_settings": "Change the fields that the sentence names.",
}


def _numbers(pattern: str, text: str) -> tuple[float, ...]:
    match = re.search(pattern, text)
    if match is None:
        raise LookupError(pattern)
    return tuple(float(group) for group in match.groups())


def _share(engine: Engine) -> str:
    share = engine.gpu_memory_utilization
    return "vLLM's default" if share is None else f"{share:g}"
