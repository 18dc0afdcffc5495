"""Counts the requests that use an engine, by the model or adapter they name, and remembers when the last one ended."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class RequestsInFlight:
    """Everything runs in one event loop; nothing here blocks."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._last_end = time.monotonic()
        self._changed = asyncio.Event()

    @contextmanager
    def use(self, model: str) -> Iterator[None]:
        """Count one request for `model` while the context is open."""
        self._counts[model] += 1
        self._tell()
        try:
            yield
        finally:
            self._counts[model] -= 1
            self._last_end = time.monotonic()
            self._tell()

    def count(self, model: str | None = None) -> int:
        """How many requests are in flight: for `model`, or in all."""
        return self._counts.total() if model is None else self._counts[model]

    @property
    def idle_seconds(self) -> float:
        """How long no request has been in flight; 0 while one is."""
        return 0.0 if self.count() else time.monotonic() - self._last_end

    async def until_none(self, model: str, seconds: float) -> bool:
        """Wait until no request for `model` is in flight, at most `seconds`; return whether that came true."""
        try:
            async with asyncio.timeout(seconds):
                while self.count(model):
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
