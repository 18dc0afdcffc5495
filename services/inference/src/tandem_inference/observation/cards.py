"""Memory and load of each NVIDIA card and of the processes on it, through NVML. Blocks: call it in a thread, one call at a time.

What the card or driver does not tell stays None with its reason; a machine without a card is no error but one sentence.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CardProcess:
    """One process on a card, by the process id that the driver tells; in a container that may be the host's."""

    pid: int
    used_bytes: int | None


@dataclass(frozen=True, slots=True)
class Card:
    """One card. `untold` has NVML's own words for each field that is None."""

    index: int
    uuid: str | None = None
    name: str | None = None
    total_bytes: int | None = None
    used_bytes: int | None = None
    free_bytes: int | None = None
    utilization_percent: int | None = None
    memory_utilization_percent: int | None = None
    processes: tuple[CardProcess, ...] | None = None
    untold: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cards:
    """The cards of this machine; `reason` says why there are none, and is None when there are."""

    cards: tuple[Card, ...] = ()
    driver_version: str | None = None
    reason: str | None = None


class CardReader:
    """Reads the cards through `nvml`, a module with the functions of NVIDIA's `pynvml`. Connects at the first reading."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._connected = False

    def read(self) -> Cards:
        """Return what there is to tell now. Never raises for a missing, lost or restarted driver; tries again next time."""
        try:
            self._connect()
            driver = self._nvml.nvmlSystemGetDriverVersion()
            count = self._nvml.nvmlDeviceGetCount()
            cards = tuple(self._card(index) for index in range(count))
        except self._nvml.NVMLError as error:
            self.close()
            return Cards(reason=f"NVML tells of no NVIDIA card here: {error}.")
        if not cards:
            return Cards(driver_version=driver, reason="The NVIDIA driver runs, and there is no card.")
        if all(card.total_bytes is None for card in cards):
            self.close()  # a driver that was restarted answers only a new connection
        return Cards(cards, driver)

    def close(self) -> None:
        """Let go of the driver; the next reading connects again. Idempotent."""
        if self._connected:
            self._connected = False
            try:
                self._nvml.nvmlShutdown()
            except self._nvml.NVMLError as error:
                logger.info("gpu.driver_lost", extra={"reason": str(error)})

    def _connect(self) -> None:
        if not self._connected:
            self._nvml.nvmlInit()
            self._connected = True

    def _card(self, index: int) -> Card:
        nvml, untold = self._nvml, dict[str, str]()

        def ask(question: Callable[[Any], T], about: Any, *fields: str) -> T | None:
            try:
                return question(about)
            except nvml.NVMLError as error:
                untold.update(dict.fromkeys(fields, str(error)))
                return None

        card = ask(nvml.nvmlDeviceGetHandleByIndex, index, "card")
        if card is None:
            return Card(index, untold=untold)
        memory = ask(nvml.nvmlDeviceGetMemoryInfo, card, "total_bytes", "used_bytes", "free_bytes")
        busy = ask(
            nvml.nvmlDeviceGetUtilizationRates, card, "utilization_percent", "memory_utilization_percent"
        )
        computing = ask(nvml.nvmlDeviceGetComputeRunningProcesses, card, "processes")
        drawing = ask(nvml.nvmlDeviceGetGraphicsRunningProcesses, card, "graphics processes")
        return Card(
            index=index,
            uuid=ask(nvml.nvmlDeviceGetUUID, card, "uuid"),
            name=ask(nvml.nvmlDeviceGetName, card, "name"),
            total_bytes=memory and memory.total,
            used_bytes=memory and memory.used,
            free_bytes=memory and memory.free,
            utilization_percent=busy and busy.gpu,
            memory_utilization_percent=busy and busy.memory,
            processes=None if computing is None else _processes([*computing, *(drawing or [])]),
            untold=untold,
        )


def _processes(found: list[Any]) -> tuple[CardProcess, ...]:
    """One entry per process: one that computes and draws is listed by NVML twice, with the same memory."""
    used = {process.pid: process.usedGpuMemory for process in found}
    return tuple(CardProcess(pid, memory) for pid, memory in sorted(used.items()))
