"""Refuses settings of an engine that change its memory in ways the planner has no model of, instead of ignoring them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tandem_inference.planner.errors import InvalidValueError

UNPLANNED: Final[dict[str, str]] = {
    "speculative-config": "speculative decoding (a draft model with its own weights and cache)",
    "speculative-model": "speculative decoding (a draft model with its own weights and cache)",
    "spec-method": "speculative decoding (a draft model with its own weights and cache)",
    "data-parallel-size": "data parallelism",
    "enable-expert-parallel": "expert parallelism",
    "decode-context-parallel-size": "context parallelism",
    "prefill-context-parallel-size": "context parallelism",
    "num-gpu-blocks-override": "a fixed number of cache blocks",
    "hf-overrides": "changes to the model's config",
    "enable-sleep-mode": "sleep mode, which has an allocator of its own",
    "disable-hybrid-kv-cache-manager": "one cache group for windowed and full layers",
    "kv-cache-dtype-skip-layers": "a cache of two formats",
    "mamba-cache-mode": "another number of recurrent states",
    "mamba-cache-dtype": "another format of recurrent states",
    "mamba-ssm-cache-dtype": "another format of recurrent states",
    "compilation-config": "another set of CUDA graphs",
    "cudagraph-capture-sizes": "another set of CUDA graphs",
    "max-cudagraph-capture-size": "another set of CUDA graphs",
}
"""Flags of vLLM 0.32, without their dashes, and what they bring that is not modelled."""

_SHORT: Final = {
    "-sc": "speculative-config",
    "-dp": "data-parallel-size",
    "-ep": "enable-expert-parallel",
    "-dcp": "decode-context-parallel-size",
    "-pcp": "prefill-context-parallel-size",
    "-cc": "compilation-config",
}


def refuse_unplanned(settings: Mapping[Any, Any]) -> None:
    """Looks at an engine's own fields and at its `extra_args`.

    Raises:
        InvalidValueError: one of them changes the memory and cannot be planned.
    """
    for name, value in settings.items():
        flag = str(name).replace("_", "-")
        flag = flag if flag in UNPLANNED else f"{flag}-size"
        if flag in UNPLANNED and _asks_for_something(value):
            raise _refusal(str(name), flag)
    listed = settings.get("extra_args")
    words = [str(word) for word in listed] if isinstance(listed, list | tuple) else []
    for position, word in enumerate(words):
        flag, given = _flag_of(word), _value_of(word, words[position + 1 : position + 2])
        if flag in UNPLANNED and not (flag.endswith("-size") and given == "1"):
            raise _refusal("extra_args", flag)


def _asks_for_something(value: Any) -> bool:
    """A degree of 1, false, or nothing leaves the engine as it is planned."""
    return value is True or (bool(value) and str(value).lower() not in ("1", "false"))


def _value_of(word: str, following: Sequence[str]) -> str:
    return word.split("=", maxsplit=1)[1] if "=" in word else "".join(following)


def _flag_of(word: str) -> str:
    """The flag a word of the command line sets: `--a-b=1`, `--a_b` and `--a-b.c` all set `a-b`."""
    if not word.startswith("-"):
        return ""
    name = word.split("=", maxsplit=1)[0].split(".", maxsplit=1)[0]
    return _SHORT.get(name) or name.lstrip("-").replace("_", "-")


def _refusal(field: str, flag: str) -> InvalidValueError:
    return InvalidValueError(
        f"{field}: --{flag} means {UNPLANNED[flag]}, which the planner has no model of; leave it out to plan "
        "the engine without it",
        field=field,
    )
