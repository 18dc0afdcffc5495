"""All engines of the service: started one after another, found by model name, stopped in reverse."""

import asyncio
import logging
from collections.abc import Sequence

from tandem_inference.engines.supervised_engine import EngineState, SupervisedEngine
from tandem_inference.errors import EngineNotReadyError, UnknownModelError

logger = logging.getLogger(__name__)


class Fleet:
    """The supervised engines, in the order of their file."""

    def __init__(self, engines: Sequence[SupervisedEngine]) -> None:
        self.engines = tuple(engines)
        self._running: list[asyncio.Task[None]] = []

    def serving(self, model: str) -> SupervisedEngine:
        """Return the engine that serves `model`, ready or not.

        Raises:
            UnknownModelError: no engine does; the message lists the known names.
        """
        for engine in self.engines:
            if engine.declared.served_model_name == model:
                return engine
        known = ", ".join(engine.declared.served_model_name for engine in self.engines)
        raise UnknownModelError(
            f"The model {model[:200]!r} does not exist. Known models: {known}.", param="model"
        )

    def first_not_ready(self) -> EngineNotReadyError | None:
        """The error of the first engine that is not ready, or None when all are."""
        waiting = [engine for engine in self.engines if engine.state is not EngineState.READY]
        return waiting[0].not_ready() if waiting else None

    async def run(self) -> None:
        """Start the engines, each after the former answers or has been given up, then watch them for ever.

        Two engines that start together measure each other's memory as their own. Cancel to stop them all.
        """
        try:
            for engine in self.engines:
                self._running.append(asyncio.create_task(engine.run(), name=f"engine {engine.declared.name}"))
                await engine.settled.wait()
            await asyncio.gather(*self._running)
            await asyncio.Event().wait()  # all have failed: nothing to watch, and requests are told why
        finally:
            for task in reversed(self._running):
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            logger.info("engines.stopped")
