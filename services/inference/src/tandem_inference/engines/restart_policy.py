"""Decides how long to wait after a crash, and when to give up. Keeps no clock and starts nothing."""

from collections import deque
from dataclasses import dataclass, field

_LONGEST_DELAY_SECONDS = 30.0
_CRASHES_UNTIL_FLAPPING = 5
_WINDOW_SECONDS = 600.0


@dataclass
class RestartPolicy:
    """Waits 1, 2, 4 ... at most 30 seconds; the fifth crash within ten minutes is flapping."""

    first_delay_seconds: float = 1.0
    _crashes: deque[float] = field(default_factory=deque, init=False)

    def delay_after_crash(self, now_seconds: float) -> float | None:
        """Record a crash at `now_seconds` (any steady clock); return the wait before a restart, None to give up."""
        self._crashes.append(now_seconds)
        while self._crashes[0] <= now_seconds - _WINDOW_SECONDS:
            self._crashes.popleft()
        if len(self._crashes) >= _CRASHES_UNTIL_FLAPPING:
            return None
        return min(_LONGEST_DELAY_SECONDS, self.first_delay_seconds * 2.0 ** (len(self._crashes) - 1))
