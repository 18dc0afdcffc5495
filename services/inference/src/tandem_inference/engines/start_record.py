"""What is remembered of one start of an engine: its process group, when it began and succeeded, what it printed until then."""

import time
from collections import deque

MOST_LINES = 2000


class StartRecord:
    """One start. Lines are kept until `finish`, the last `MOST_LINES` of them."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=MOST_LINES)
        self.process_group: int | None = None  # the keeper's process id; None before it runs
        self._started = time.monotonic()
        self._ready: float | None = None

    def add(self, line: str) -> None:
        """Remember `line`, unless the start is over."""
        if self._ready is None:
            self.lines.append(line)

    def finish(self) -> tuple[str, ...]:
        """Note that the engine is ready; return what it has printed, which is then forgotten."""
        self._ready = time.monotonic()
        lines = tuple(self.lines)
        self.lines.clear()
        return lines

    @property
    def start_seconds(self) -> float | None:
        """How long the engine took until it was ready; None while it is not."""
        return None if self._ready is None else round(self._ready - self._started, 1)

    @property
    def running_seconds(self) -> float:
        """How long ago the engine was started."""
        return round(time.monotonic() - self._started, 1)

    @property
    def ready_seconds(self) -> float | None:
        """How long ago the engine became ready; None while it is not."""
        return None if self._ready is None else round(time.monotonic() - self._ready, 1)
