"""When to try again what really failed: each pause four times the last one, and no two workers in step."""

import random
from datetime import timedelta

_FIRST = timedelta(seconds=2)
_LONGEST = timedelta(minutes=10)
_FACTOR = 4


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait after the given number of failed attempts (from 1), jitter included."""
    # Bounded before the multiplication, which has no room for an attempt number from a broken row.
    growth: int = _FACTOR ** min(attempts - 1, 10)
    return min(_FIRST * growth, _LONGEST) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
