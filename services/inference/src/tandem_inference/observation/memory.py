"""Who takes how much memory now, on the host and on the cards, matched to engines by process group."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from tandem_inference.engines.fleet import Fleet
from tandem_inference.observation.cards import Card, CardReader, Cards
from tandem_inference.observation.host_processes import HostProcess, read_processes
from tandem_inference.observation.recent import Recent

logger = logging.getLogger(__name__)

# Connecting to the driver takes seconds on a card that nobody else keeps awake.
_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Memory:
    """One reading. `engines` are the declared engines' names, those without a process too.

    `host_unavailable` says why there are no processes, and is None when there are.
    """

    cards: Cards
    processes: tuple[HostProcess, ...]
    engines: tuple[str, ...]
    host_unavailable: str | None = None

    def owner(self, pid: int) -> HostProcess | None:
        """Ours with this id, if it is one of ours."""
        return next((process for process in self.processes if process.pid == pid), None)

    def as_json(self) -> dict[str, Any]:
        """The document of `GET /gpu`. All sizes in bytes."""
        gateway = [process for process in self.processes if process.engine is None]
        return {
            "unavailable": self.cards.reason,
            "driver_version": self.cards.driver_version,
            "cards": [self._card(card) for card in self.cards.cards],
            "host_unavailable": self.host_unavailable,
            "gateway": _host_sums(gateway),
            "engines": [self._engine(name) for name in self.engines],
        }

    def _card(self, card: Card) -> dict[str, Any]:
        processes = None
        if card.processes is not None:
            processes = [
                {
                    "pid": process.pid,
                    "engine": (owner := self.owner(process.pid)) and owner.engine,
                    "role": owner and owner.role,
                    "used_bytes": process.used_bytes,
                }
                for process in card.processes
            ]
        return {
            "index": card.index,
            "uuid": card.uuid,
            "name": card.name,
            "total_bytes": card.total_bytes,
            "used_bytes": card.used_bytes,
            "free_bytes": card.free_bytes,
            "utilization_percent": card.utilization_percent,
            "memory_utilization_percent": card.memory_utilization_percent,
            "processes": processes,
            "not_available": card.untold,
        }

    def _engine(self, name: str) -> dict[str, Any]:
        processes = [process for process in self.processes if process.engine == name]
        return {"name": name, "card_bytes": self._on_cards(processes), **_host_sums(processes)}

    def _on_cards(self, processes: list[HostProcess]) -> int | None:
        """What `processes` take on all cards; None where the driver does not tell of any."""
        pids = {process.pid for process in processes}
        on_cards = [p for card in self.cards.cards for p in card.processes or () if p.pid in pids]
        told = [process.used_bytes for process in on_cards if process.used_bytes is not None]
        return sum(told) if told else None


def _host_sums(processes: list[HostProcess]) -> dict[str, Any]:
    return {
        "rss_bytes": _sum([process.rss_bytes for process in processes]),
        "pss_bytes": _sum([process.pss_bytes for process in processes]),
        "uss_bytes": _sum([process.uss_bytes for process in processes]),
        "processes": [
            {
                "pid": process.pid,
                "role": process.role,
                "rss_bytes": process.rss_bytes,
                "pss_bytes": process.pss_bytes,
                "uss_bytes": process.uss_bytes,
            }
            for process in processes
        ],
    }


def _sum(sizes: list[int | None] | list[int]) -> int | None:
    """The sum of `sizes`; None when one of them is not known, because a part would look like the whole."""
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


class MemoryWatch:
    """Reads memory in threads, at most once a second; a driver that hangs holds up nothing else."""

    def __init__(self, fleet: Fleet, cards: CardReader) -> None:
        self._fleet = fleet
        self._cards = Recent(lambda: asyncio.to_thread(cards.read), patience_seconds=_PATIENCE_SECONDS)
        self._processes = Recent(self._read_processes, patience_seconds=_PATIENCE_SECONDS)

    async def read(self) -> Memory:
        """Return who takes how much, at most a second old."""
        names = tuple(engine.declared.name for engine in self._fleet.engines)
        cards, (processes, missing) = await asyncio.gather(self._cards_or_why(), self._processes_or_why())
        return Memory(cards, processes, names, missing)

    async def _cards_or_why(self) -> Cards:
        try:
            return await self._cards.get()
        except TimeoutError:
            reason = f"The NVIDIA driver has not answered for {_PATIENCE_SECONDS:g} seconds."
            logger.warning("gpu.driver_hangs", extra={"reason": reason})
            return Cards(reason=reason)

    async def _processes_or_why(self) -> tuple[tuple[HostProcess, ...], str | None]:
        try:
            return await self._processes.get(), None
        except TimeoutError:
            reason = f"The processes' memory could not be read within {_PATIENCE_SECONDS:g} seconds."
            logger.warning("host_memory.reading_hangs", extra={"reason": reason})
            return (), reason

    async def _read_processes(self) -> tuple[HostProcess, ...]:
        groups = {
            engine.start.process_group: engine.declared.name
            for engine in self._fleet.engines
            if engine.start is not None and engine.start.process_group is not None
        }
        return await asyncio.to_thread(read_processes, groups)
