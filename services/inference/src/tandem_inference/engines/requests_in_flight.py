"""Counts the requests that use an engine, by the model or adapter they name, and remembers when the last one ended."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class RequestsInFlight:
    """Everything runs in one event loop; nothing here blocks."""

    def __init__(self) -> None:
        self.wanted = asyncio.Event()  # set by each request; whoever waits for the next one clears it
        self._counts: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        self._last_end = time.monotonic()
        self._changed = asyncio.Event()

    @contextmanager
    def use(self, model: str) -> Iterator[None]:
        """Count one request for `model` while the context is open."""
        with self._counted(self._counts, model):
            yield

    @contextmanager
    def waiting(self, model: str) -> Iterator[None]:
        """Tell of a request for `model`, counted by `use`, that it waits: it has not reached the engine yet."""
        with self._counted(self._waiting, model):
            yield

    def count(self, model: str | None = None) -> int:
        """How many requests are in flight: for `model`, or in all."""
        return self._counts.total() if model is None else self._counts[model]

    def is_at_engine(self) -> bool:
        """Whether a request has reached the engine, or waits for its turn."""
        return any(number > self._waiting[model] for model, number in self._counts.items())

    @property
    def is_idle(self) -> bool:
        """Whether no request is here, nor waits."""
        return not self._counts and not self._waiting

    @property
    def idle_seconds(self) -> float:
        """How long no request has been in flight; 0 while one is."""
        return time.monotonic() - self._last_end if self.is_idle else 0.0

    def stay_awake(self) -> None:
        """Count the idle time from now on."""
        self._last_end = time.monotonic()

    async def until_idle(self, seconds: float) -> None:
        """Wait until no request has been in flight for `seconds`."""
        while (left := seconds - self.idle_seconds) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def until_drained(self, model: str, seconds: float) -> bool:
        """Wait until no request for `model` is with the engine, at most `seconds`; return whether that came true."""
        try:
            async with asyncio.timeout(seconds):
                while self._counts[model] > self._waiting[model]:
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    @contextmanager
    def _counted(self, counts: Counter[str], model: str) -> Iterator[None]:
        counts[model] += 1
        self.wanted.set()
        self._tell()
        try:
            yield
        finally:
            counts[model] -= 1
            if not counts[model]:
                del counts[model]  # names come from callers
            self._last_end = time.monotonic()
            self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
