"""Notices that a ready engine hangs though its processes live: it is silent, or it has requests and gets on with none of them.

What follows from it is the supervisor's decision. vLLM's `GET /health` tells of an engine core that has died, not of one that
is stuck; that shows only in counters that stand still.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httpx

_CHECKS_PER_LIMIT: Final = 10
_LONGEST_PAUSE_SECONDS: Final = 5.0
_COUNTERS: Final = b"vllm:"


@dataclass(frozen=True)
class HangLimits:
    """How long an engine may be silent, and how long its counters may stand still while it has requests."""

    silent_seconds: float = 60.0
    stalled_seconds: float = 300.0

    @property
    def pause_seconds(self) -> float:
        """Between two looks, and how long one may take."""
        return min(_LONGEST_PAUSE_SECONDS, self.silent_seconds / _CHECKS_PER_LIMIT)


class HealthWatch:
    """Looks at the engine that `client` reaches; `is_busy` tells whether it has requests."""

    def __init__(self, client: httpx.AsyncClient, limits: HangLimits, is_busy: Callable[[], bool]) -> None:
        self._client = client
        self._limits = limits
        self._is_busy = is_busy
        self._silent_seconds = 0.0
        self._stalled_seconds = 0.0
        self._counters: bytes | None = None

    async def until_hung(self) -> str:
        """Return what is wrong once the engine hangs; never, as long as it is well."""
        pause = self._limits.pause_seconds
        looked = time.monotonic()
        while True:
            await asyncio.sleep(pause)
            healthy = await self._ask("/health")
            counters = _counters(await self._ask("/metrics"))
            # At most what a look can take: when this process itself was stopped, the engine is not to blame.
            seconds, looked = min(time.monotonic() - looked, 3 * pause), time.monotonic()
            if verdict := self._judge(seconds, answers=healthy is not None, counters=counters):
                return verdict

    def _judge(self, seconds: float, *, answers: bool, counters: bytes | None) -> str | None:
        self._silent_seconds = 0.0 if answers else self._silent_seconds + seconds
        stands_still = self._is_busy() and counters is not None and counters == self._counters
        self._stalled_seconds = self._stalled_seconds + seconds if stands_still else 0.0
        self._counters = counters
        if self._silent_seconds >= self._limits.silent_seconds:
            return f"its process runs, but it has not answered GET /health for {self._silent_seconds:.0f} s"
        if self._stalled_seconds >= self._limits.stalled_seconds:
            return f"it has requests, but its counters have stood still for {self._stalled_seconds:.0f} s"
        return None

    async def _ask(self, path: str) -> bytes | None:
        """The content of a successful answer; None for any other, and for none."""
        try:
            answer = await self._client.get(path)
        except httpx.HTTPError:
            return None
        return answer.content if answer.is_success else None


def _counters(page: bytes | None) -> bytes | None:
    """The engine's own numbers; None when they cannot be seen, which is no sign of a hang."""
    if page is None:
        return None
    return b"\n".join(line for line in page.splitlines() if line.startswith(_COUNTERS)) or None
