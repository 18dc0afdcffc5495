"""Stands in for NVIDIA's `pynvml` with its real function names and errors, and cards that a test describes.

`mistakes` maps a function's name to the error it raises, for one card (`name:index`) or always.
"""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml

GIB = 2**30


@dataclass
class FakeCard:
    """One card as NVML tells it. `processes` are pairs of process id and bytes."""

    name: str = "NVIDIA L4"
    total: int = 22 * GIB
    used: int = 20 * GIB
    load: int = 87
    processes: list[tuple[int, int | None]] = field(default_factory=list)
    drawing: list[tuple[int, int | None]] = field(default_factory=list)


class FakeNvml:
    """The functions of `pynvml` that read; like the library, it answers only between nvmlInit and nvmlShutdown."""

    NVMLError = pynvml.NVMLError

    def __init__(self, *cards: FakeCard) -> None:
        self.cards = list(cards)
        self.mistakes: dict[str, Exception] = {}
        self.connections = 0
        self._connected = False

    def nvmlInit(self) -> None:  # noqa: N802 - NVML's name, like those below
        self._fail("nvmlInit")
        self.connections += 1
        self._connected = True

    def nvmlShutdown(self) -> None:  # noqa: N802
        self._answer("nvmlShutdown")
        self._connected = False

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        self._answer("nvmlSystemGetDriverVersion")
        return "580.95.05"

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        self._answer("nvmlDeviceGetCount")
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        self._answer("nvmlDeviceGetHandleByIndex", index)
        return index

    def nvmlDeviceGetName(self, card: int) -> str:  # noqa: N802
        self._answer("nvmlDeviceGetName", card)
        return self.cards[card].name

    def nvmlDeviceGetUUID(self, card: int) -> str:  # noqa: N802
        self._answer("nvmlDeviceGetUUID", card)
        return f"GPU-{card}"

    def nvmlDeviceGetMemoryInfo(self, card: int) -> Any:  # noqa: N802
        self._answer("nvmlDeviceGetMemoryInfo", card)
        told = self.cards[card]
        return SimpleNamespace(total=told.total, used=told.used, free=told.total - told.used)

    def nvmlDeviceGetUtilizationRates(self, card: int) -> Any:  # noqa: N802
        self._answer("nvmlDeviceGetUtilizationRates", card)
        return SimpleNamespace(gpu=self.cards[card].load, memory=40)

    def nvmlDeviceGetComputeRunningProcesses(self, card: int) -> list[Any]:  # noqa: N802
        self._answer("nvmlDeviceGetComputeRunningProcesses", card)
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in self.cards[card].processes]

    def nvmlDeviceGetGraphicsRunningProcesses(self, card: int) -> list[Any]:  # noqa: N802
        self._answer("nvmlDeviceGetGraphicsRunningProcesses", card)
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in self.cards[card].drawing]

    def _answer(self, function: str, card: int | None = None) -> None:
        if not self._connected:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED)
        self._fail(function)
        self._fail(f"{function}:{card}")

    def _fail(self, function: str) -> None:
        if mistake := self.mistakes.get(function):
            raise mistake


def nvml_error(code: str) -> Exception:
    """The error that the library raises for `code`, such as NOT_SUPPORTED."""
    return pynvml.NVMLError(getattr(pynvml, f"NVML_ERROR_{code}"))  # type: ignore[no-any-return]
