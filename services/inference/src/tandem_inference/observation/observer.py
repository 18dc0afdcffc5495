"""Answers what the service's entrypoints are asked about engines and memory; builds each answer from fresh readings."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tandem_inference import metrics
from tandem_inference.engines.fleet import Fleet
from tandem_inference.engines.supervised_engine import SupervisedEngine
from tandem_inference.gateway.admission.admission import Admission
from tandem_inference.gateway.admission.snapshot import AdmissionSnapshot
from tandem_inference.observation.cards import CardReader
from tandem_inference.observation.engine_document import engine_document
from tandem_inference.observation.engine_page import EnginePage, Page
from tandem_inference.observation.exposition import merge_families
from tandem_inference.observation.gauges import own_gauges, plain_name
from tandem_inference.observation.memory import MemoryWatch
from tandem_telemetry import names

# An engine closes idle connections after 5 seconds; let go first.
_KEEP_IDLE_SECONDS = 2.0


class Observer:
    """Reads the engines of `fleet`, their admissions (by the engine's name), processes and the cards.

    Every answer takes a few seconds at most.
    """

    def __init__(
        self,
        fleet: Fleet,
        admissions: Mapping[str, Admission],
        cards: CardReader,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self._fleet = fleet
        self._admissions = admissions
        # Its own client: these polls belong in no trace, and wait in no queue behind requests.
        self._client = client or httpx.AsyncClient(
            limits=httpx.Limits(keepalive_expiry=_KEEP_IDLE_SECONDS), trust_env=False
        )
        self._cards = cards
        self._memory = MemoryWatch(fleet, cards)
        self._pages = {engine.declared.name: EnginePage(engine, self._client) for engine in fleet.engines}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Count from here; let go of connections and of the driver at the end."""
        for name in self._pages:  # a counter that first appears as 1 hides its first rise
            metrics.ENGINE_RESTARTS.add(0, {names.ENGINE: name})
        async with self._client:
            try:
                yield
            finally:
                self._cards.close()

    @property
    def engine_names(self) -> tuple[str, ...]:
        """The engines, in the order of their file."""
        return tuple(self._pages)

    async def memory(self) -> dict[str, Any]:
        """The document of `GET /gpu`."""
        return (await self._memory.read()).as_json()

    async def engines(self) -> list[dict[str, Any]]:
        """One document per engine, in the order of their file."""
        return list(await asyncio.gather(*map(self._engine, self._fleet.engines)))

    async def page(self, name: str) -> Page | None:
        """The metrics that the engine `name` publishes itself; None when no engine is called so."""
        page = self._pages.get(name)
        return None if page is None else await page.get()

    async def metrics(self) -> str:
        """The service's gauges, then every answering engine's own metrics under its name, as Prometheus' text."""
        memory, pages = await asyncio.gather(
            self._memory.read(), asyncio.gather(*(page.get() for page in self._pages.values()))
        )
        own = own_gauges(self._fleet, self._snapshots(), memory)
        found = {name: page.families for name, page in zip(self._pages, pages, strict=True)}
        theirs = await asyncio.to_thread(
            lambda: [line + "\n" for line in merge_families(found, label=plain_name(names.ENGINE))]
        )
        return "".join([own, *theirs])

    async def _engine(self, engine: SupervisedEngine) -> dict[str, Any]:
        numbers = await self._pages[engine.declared.name].numbers()
        return engine_document(engine, self._admissions[engine.declared.name].snapshot(), numbers)

    def _snapshots(self) -> dict[str, AdmissionSnapshot]:
        return {name: admission.snapshot() for name, admission in self._admissions.items()}
