"""Learns how long an engine takes to wake, so that a request is told how long to wait. Keeps no clock of its own engine."""

import time
from collections import deque

_KEPT = 3


class WakeTimes:
    """The last few wakes; a first start counts as one where waking is starting anew."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_KEPT)
        self._began: float | None = None

    def begin(self) -> None:
        """A wake begins now, unless one is under way."""
        if self._began is None:
            self._began = time.monotonic()

    def end(self) -> None:
        """The wake that is under way, if one is, has succeeded."""
        if self._began is not None:
            self._seconds.append(time.monotonic() - self._began)
            self._began = None

    def give_up(self) -> None:
        """The wake that is under way, if one is, has failed and teaches nothing."""
        self._began = None

    @property
    def rest_seconds(self) -> float | None:
        """How long until the engine is expected to be awake, at least a second; None when nothing is known yet."""
        if not self._seconds:
            return None
        elapsed = 0.0 if self._began is None else time.monotonic() - self._began
        return max(1.0, max(self._seconds) - elapsed)
