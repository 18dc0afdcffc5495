"""Brings an engine's adapters to what is declared: loads, proves, retries, drains and unloads them, in every life of the engine.

What is declared changes by `declare`; when the engine lives is its supervisor's business.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tandem_inference.engines.adapter_files import adapter_folder
from tandem_inference.engines.adapter_status import AdapterState, AdapterStatus
from tandem_inference.engines.declared_adapter import Adapter, allowed_rank
from tandem_inference.engines.engine_client import EngineCallError, EngineClient
from tandem_inference.engines.requests_in_flight import RequestsInFlight

logger = logging.getLogger(__name__)

_FIRST_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 60.0


@dataclass(frozen=True)
class AdapterChanges:
    """What a new declaration changes, by the adapters' names."""

    added: tuple[str, ...]
    removed: tuple[str, ...]


class AdapterSet:
    """The adapters of one engine. `on_change` is called whenever one's state has changed."""

    def __init__(
        self,
        engine: str,
        adapters: Sequence[Adapter],
        in_flight: RequestsInFlight,
        drain_seconds: float,
        on_change: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._in_flight = in_flight
        self._drain_seconds = drain_seconds
        self._on_change = on_change
        self._held = {adapter.name: AdapterStatus(adapter) for adapter in adapters}
        self._leaving: list[AdapterStatus] = []
        self._changed = asyncio.Event()
        self._moved = asyncio.Event()  # set, and replaced, when an adapter's state changes
        self._loading = asyncio.Lock()

    @property
    def statuses(self) -> tuple[AdapterStatus, ...]:
        """The declared adapters in their order, then those that are on their way out."""
        return (*self._held.values(), *self._leaving)

    def status(self, name: str) -> AdapterStatus | None:
        """The adapter that is called so, declared ones first; None when there is none."""
        return next((one for one in self.statuses if one.adapter.name == name), None)

    def is_declared(self, name: str) -> bool:
        """Whether new requests for `name` are taken."""
        return name in self._held

    def declare(self, adapters: Sequence[Adapter]) -> AdapterChanges:
        """Take `adapters` for what is wanted from now on. Those that go first stop taking requests; returns at once."""
        wanted = {adapter.name: adapter for adapter in adapters}
        same = {name for name, one in self._held.items() if wanted.get(name) == one.adapter}
        removed = [one for name, one in self._held.items() if name not in same]
        for one in removed:
            if one.is_loaded:
                self._leaving.append(one)
                self._tell(one, AdapterState.DRAINING)
        added = tuple(name for name in wanted if name not in same)
        self._held = {
            name: self._held[name] if name in same else AdapterStatus(wanted[name]) for name in wanted
        }
        self._changed.set()
        return AdapterChanges(added, tuple(one.adapter.name for one in removed))

    def begin(self) -> None:
        """The engine is about to answer, in a new life or after sleep: nothing is ready before it has been proved."""
        for one in self._held.values():
            self._tell(one, AdapterState.LOADING)

    def forget(self) -> None:
        """The engine's process is gone, and what it had loaded with it."""
        self._leaving.clear()
        for one in self._held.values():
            one.is_loaded = False

    async def keep(self, client: EngineClient) -> None:
        """Work on the differences between what is declared and what the engine has, until cancelled."""
        tasks: dict[tuple[int, bool], asyncio.Task[None]] = {}
        try:
            while True:
                for one in self._held.values():
                    if (id(one), True) not in tasks:
                        tasks[id(one), True] = asyncio.create_task(self._bring(one, client))
                for one in self._leaving:
                    if (id(one), False) not in tasks:
                        tasks[id(one), False] = asyncio.create_task(self._see_off(one, client))
                self._changed.clear()
                await self._changed.wait()
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def until_tried(self) -> None:
        """Wait until no adapter is being loaded for the first time."""
        while any(one.state is AdapterState.LOADING for one in self._held.values()):
            await self._moved.wait()

    async def _bring(self, one: AdapterStatus, client: EngineClient) -> None:
        delay = _FIRST_RETRY_SECONDS
        while self._held.get(one.adapter.name) is one:
            try:
                await self._load(one, client)
            except EngineCallError as error:
                self._fail(one, str(error), retry_seconds=delay if error.passing else None)
                if not error.passing:
                    return
            except Exception as error:  # a mistake of this service must not take the engine down
                logger.exception("adapter.supervision_failed", extra=self._facts(one))
                self._fail(one, f"loading it failed: {error}", retry_seconds=None)
                return
            else:
                return
            await asyncio.sleep(delay)
            delay = min(_LONGEST_RETRY_SECONDS, delay * 2)

    async def _load(self, one: AdapterStatus, client: EngineClient) -> None:
        name = one.adapter.name
        while any(other.adapter.name == name for other in self._leaving):
            await self._moved.wait()
        if not one.is_loaded:
            folder = await asyncio.to_thread(adapter_folder, one.adapter)
            async with self._loading:
                await client.load_adapter(name, folder)
                if self._held.get(name) is not one:  # removed meanwhile
                    await client.unload_adapter(name)
                    return
                one.is_loaded = True
        await client.probe(name)
        if self._held.get(name) is one:
            self._tell(one, AdapterState.READY)
            logger.info("adapter.ready", extra=self._facts(one))

    async def _see_off(self, one: AdapterStatus, client: EngineClient) -> None:
        drained = await self._in_flight.until_drained(one.adapter.name, self._drain_seconds)
        try:
            await client.unload_adapter(one.adapter.name)
        except EngineCallError as error:
            logger.warning("adapter.not_unloaded", extra=self._facts(one) | {"reason": str(error)})
        self._leaving.remove(one)
        self._move()
        logger.info("adapter.removed", extra=self._facts(one) | {"drained": drained})

    def _fail(self, one: AdapterStatus, reason: str, *, retry_seconds: float | None) -> None:
        if rank := re.search(r"LoRA rank (\d+) is greater than max_lora_rank", reason):
            reason += f" Proposed change of the engines' file: max_lora_rank: {allowed_rank(int(rank[1]))}."
        self._tell(one, AdapterState.FAILED, reason)
        facts = self._facts(one) | {"reason": reason, "retry_in_seconds": retry_seconds}
        logger.warning("adapter.failed", extra=facts)

    def _tell(self, one: AdapterStatus, state: AdapterState, reason: str | None = None) -> None:
        one.state, one.reason = state, reason
        self._move()

    def _move(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
        self._on_change()

    def _facts(self, one: AdapterStatus) -> dict[str, object]:
        return {"engine": self._engine, "adapter": one.adapter.name}
