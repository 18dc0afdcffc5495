"""How long answers have taken lately, to know a deadline that cannot be met before the engine is bothered with it."""

from collections import defaultdict, deque

_REMEMBERED = 64
_ENOUGH = 16


class RecentAnswers:
    """Seconds from sending a request to the end of its answer, by engine and path. Only complete answers count."""

    def __init__(self) -> None:
        self._seconds: defaultdict[tuple[str, str], deque[float]] = defaultdict(
            lambda: deque(maxlen=_REMEMBERED)
        )

    def add(self, engine: str, path: str, seconds: float) -> None:
        """Remember one answer."""
        self._seconds[engine, path].append(seconds)

    def fastest_seconds(self, engine: str, path: str) -> float:
        """The fastest of the last answers, which no request is assumed to beat; 0 while too few were seen."""
        seen = self._seconds[engine, path]
        return min(seen) if len(seen) >= _ENOUGH else 0.0
