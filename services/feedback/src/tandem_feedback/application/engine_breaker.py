"""Remembers that the engine is away, so that waiting jobs do not all keep asking it: one a second does, for all.

Knows only what callers report; it never talks to the engine itself.
"""

import time
from collections.abc import Callable

from tandem_feedback.domain.errors import EngineUnavailableError

# Also how often an engine that is away is tried.
_PROBE_EVERY_SECONDS = 1.0


class EngineBreaker:
    """One per worker process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._away_until: float | None = None
        self._reason = ""

    def require_usable(self) -> None:
        """Return when the engine may be asked: it works, or it is this caller's turn to find out.

        Raises:
            EngineUnavailableError: it was away a moment ago; nothing need be asked to know that.
        """
        if self._away_until is None:
            return
        left = self._away_until - self._clock()
        if left > 0:
            raise EngineUnavailableError(self._reason, retry_after=left)
        self._away_until = self._clock() + _PROBE_EVERY_SECONDS

    def engine_is_away(self, error: EngineUnavailableError) -> None:
        """Remember for as long as the engine asks for, and for a second at least."""
        self._reason = str(error)
        self._away_until = self._clock() + max(error.retry_after or 0.0, _PROBE_EVERY_SECONDS)

    def engine_answers(self) -> None:
        """Let everybody in again."""
        self._away_until = None
