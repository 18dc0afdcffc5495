"""All engines of the service: started one after another, found by model name, stopped in reverse."""

import asyncio
import logging
from collections.abc import Sequence

from tandem_inference.engines.engine_state import FINE
from tandem_inference.engines.supervised_engine import SupervisedEngine
from tandem_inference.errors import EngineNotReadyError, UnknownEngineError, UnknownModelError

logger = logging.getLogger(__name__)


class Fleet:
    """The supervised engines, in the order of their file; `start_order` names them in the order of their start."""

    def __init__(self, engines: Sequence[SupervisedEngine], start_order: Sequence[str] | None = None) -> None:
        self.engines = tuple(engines)
        self.start_order = tuple(start_order or (engine.declared.name for engine in self.engines))
        self._running: list[asyncio.Task[None]] = []

    def serving(self, model: str, *, engine: str | None = None) -> tuple[SupervisedEngine, ...]:
        """Return the engines that serve `model`, ready or not: several where it is declared several times.

        With `engine`, only that one is asked.

        Raises:
            UnknownEngineError: there is no such engine; the message lists the known names.
            UnknownModelError: no engine serves it; the message lists the known names.
        """
        asked = self.engines if engine is None else (self.named(engine),)
        if found := tuple(one for one in asked if one.serves(model)):
            return found
        known = ", ".join(dict.fromkeys(name for one in asked for name in one.names))
        where = "" if engine is None else f" on the engine {engine!r}"
        raise UnknownModelError(
            f"The model {model[:200]!r} does not exist{where}. Known models: {known}.", param="model"
        )

    def named(self, name: str) -> SupervisedEngine:
        """Return the engine that the file calls `name`; raise UnknownEngineError, listing the known ones, if none."""
        for engine in self.engines:
            if engine.declared.name == name:
                return engine
        known = ", ".join(engine.declared.name for engine in self.engines)
        raise UnknownEngineError(f"The engine {name[:100]!r} does not exist. Known engines: {known}.")

    def first_not_ready(self) -> EngineNotReadyError | None:
        """The error of the first engine that neither answers nor sleeps; None when all are fine."""
        waiting = [engine for engine in self.engines if engine.state not in FINE]
        return waiting[0].not_ready() if waiting else None

    async def run(self) -> None:
        """Start the engines, each after the former answers or has been given up, then watch them for ever.

        Two engines that start together measure each other's memory as their own. Cancel to stop them all.
        """
        try:
            for engine in map(self.named, self.start_order):
                self._running.append(asyncio.create_task(engine.run(), name=f"engine {engine.declared.name}"))
                await engine.settled.wait()
            # Not gather: cancelled, it would cancel them all at once, and those that stop already a second time.
            await asyncio.wait(self._running)
            await asyncio.Event().wait()  # all have failed: nothing to watch, and requests are told why
        finally:
            for task in reversed(self._running):
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            logger.info("engines.stopped")
