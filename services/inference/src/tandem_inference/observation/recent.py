"""Keeps the answer to a costly question for about a second, so that however many ask, it is asked once at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """The answer of `ask`, at most `fresh_seconds` old."""

    def __init__(
        self, ask: Callable[[], Awaitable[T]], *, fresh_seconds: float = 1.0, patience_seconds: float = 2.0
    ) -> None:
        self._ask = ask
        self._fresh_seconds = fresh_seconds
        self._patience_seconds = patience_seconds
        self._asking: asyncio.Future[T] | None = None
        self._answered_at = float("-inf")

    async def get(self) -> T:
        """Return the answer, waiting for one that is being fetched already. What `ask` raises, this raises.

        Raises:
            TimeoutError: none came in time. The question stays open, and the next caller waits for the same answer.
        """
        asking = self._asking
        if asking is None or (asking.done() and self._is_old()):
            asking = self._asking = asyncio.ensure_future(self._ask())
            asking.add_done_callback(self._note)
        return await asyncio.wait_for(asyncio.shield(asking), self._patience_seconds)

    def _is_old(self) -> bool:
        return time.monotonic() - self._answered_at > self._fresh_seconds

    def _note(self, asking: asyncio.Future[T]) -> None:
        self._answered_at = time.monotonic()
        if not asking.cancelled():
            asking.exception()  # seen here, should no caller have waited for it
