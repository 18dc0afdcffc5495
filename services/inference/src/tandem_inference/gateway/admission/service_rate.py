"""How fast a class has been served lately, in slots freed per second, and what to tell those who must come back."""

import math
from collections import deque

_WINDOW_SECONDS = 60.0
_UNKNOWN_SECONDS = 5
_SHORTEST_SECONDS, _LONGEST_SECONDS = 1, 60


class ServiceRate:
    """Counts by the second over the last minute. Times are those of any steady clock."""

    def __init__(self, now: float) -> None:
        self._began = now
        self._seconds: deque[list[int]] = deque()  # pairs: a second, and the slots freed in it
        self._freed = 0

    def add(self, slots: int, now: float) -> None:
        """Note that `slots` were freed."""
        if not self._seconds or self._seconds[-1][0] != int(now):
            self._seconds.append([int(now), 0])
        self._seconds[-1][1] += slots
        self._freed += slots
        self._forget(now)

    def per_second(self, now: float) -> float | None:
        """Slots freed per second; None when none was in the window."""
        self._forget(now)
        if not self._freed:
            return None
        return self._freed / min(_WINDOW_SECONDS, max(1.0, now - self._began))

    def retry_after_seconds(self, waiting: int, now: float) -> int:
        """When it makes sense to come back: once a tenth of the `waiting` have been served.

        Sooner, the few places freed would be gone again; later, the engine could run dry. Between 1 and 60 seconds.
        """
        rate = self.per_second(now)
        if rate is None:
            return _UNKNOWN_SECONDS
        seconds = math.ceil(max(1.0, waiting / 10) / rate)
        return max(_SHORTEST_SECONDS, min(_LONGEST_SECONDS, seconds))

    def _forget(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] <= now - _WINDOW_SECONDS:
            self._freed -= self._seconds.popleft()[1]
