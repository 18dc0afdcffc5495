"""Keeps a service's background loops alive: a loop that dies is restarted and reported, never silently missing."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

_RESTART_AFTER_SECONDS = 1.0
_MAX_RESTART_AFTER_SECONDS = 30.0


class BackgroundLoops:
    """Runs named endless coroutines until `close`."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._down: dict[str, str] = {}

    @property
    def down(self) -> dict[str, str]:
        """Which loops are not running at this moment, and what ended them."""
        return dict(self._down)

    def start(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Run `loop()` now and again whenever it ends or raises, with growing pauses."""
        self._tasks.append(asyncio.create_task(self._keep_running(name, loop), name=name))

    async def close(self) -> None:
        """Cancel every loop, the newest first, and wait for it."""
        for task in reversed(self._tasks):
            task.cancel()
            await asyncio.wait([task])
        self._tasks.clear()

    async def _keep_running(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        pause = _RESTART_AFTER_SECONDS
        running = asyncio.get_running_loop()
        while True:
            started = running.time()
            try:
                await loop()
            except (Exception, asyncio.CancelledError) as error:
                # A cancelled inner task ends a loop too, without anyone having asked for it.
                if _told_to_end():
                    raise
                self._down[name] = type(error).__name__
                logger.exception("loop.died", extra={"loop": name, "restart_in_seconds": pause})
            else:
                self._down[name] = "it returned"
                logger.error("loop.ended", extra={"loop": name, "restart_in_seconds": pause})
            if running.time() - started > _MAX_RESTART_AFTER_SECONDS:
                pause = _RESTART_AFTER_SECONDS
            await asyncio.sleep(pause)
            del self._down[name]
            pause = min(pause * 2, _MAX_RESTART_AFTER_SECONDS)


def _told_to_end() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
