"""Byte arithmetic and the interval every estimated term is given as; no knowledge of models or cards."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024**2
GIB = 1024**3


def ceil_div(value: int, divisor: int) -> int:
    return -(-value // divisor)


def round_up(value: int, multiple: int) -> int:
    """`value` raised to the next multiple."""
    return ceil_div(value, multiple) * multiple


def gib(size_bytes: float) -> float:
    return size_bytes / GIB


@dataclass(frozen=True, slots=True)
class Interval:
    """Bytes that will most likely be `likely` and hardly ever outside `low`..`high`."""

    low: float
    likely: float
    high: float

    @classmethod
    def exact(cls, size_bytes: float) -> Interval:
        return cls(size_bytes, size_bytes, size_bytes)

    @classmethod
    def around(cls, size_bytes: float, *, below: float, above: float) -> Interval:
        """`below` and `above` are fractions of the likely value."""
        return cls(size_bytes * (1 - below), size_bytes, size_bytes * (1 + above))

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def widened(self, *, below: float = 0.0, above: float = 0.0) -> Interval:
        """The same likely value with `below` and `above` bytes more room."""
        return Interval(max(0.0, self.low - below), self.likely, self.high + above)


NOTHING = Interval.exact(0.0)
