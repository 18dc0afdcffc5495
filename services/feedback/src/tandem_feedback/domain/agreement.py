"""How well two raters agree on an ordinal scale: counts, means, and Cohen's kappa with quadratic weights.

Kappa after Cohen, "Weighted kappa" (Psychological Bulletin 70, 1968): one minus observed over expected disagreement, a pair
of scores weighing its distance squared. 1 is perfect, 0 what chance alone would give.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Agreement:
    """What pairs of scores tell; shares from 0 to 1, and `mean_difference` is second minus first."""

    count: int
    mean_first: float
    mean_second: float
    mean_difference: float
    exact_share: float
    within_one_share: float
    kappa: float | None
    """None when it is not defined: both always gave one and the same score."""


def agreement(pairs: Sequence[tuple[int, int]]) -> Agreement | None:
    """Compare pairs of scores; None without any."""
    if not pairs:
        return None
    count = len(pairs)
    distances = [second - first for first, second in pairs]
    return Agreement(
        count=count,
        mean_first=sum(first for first, _ in pairs) / count,
        mean_second=sum(second for _, second in pairs) / count,
        mean_difference=sum(distances) / count,
        exact_share=distances.count(0) / count,
        within_one_share=sum(abs(distance) <= 1 for distance in distances) / count,
        kappa=weighted_kappa(pairs),
    )


def weighted_kappa(pairs: Sequence[tuple[int, int]]) -> float | None:
    """Return Cohen's kappa with quadratic weights, computed exactly; None when chance leaves nothing to disagree on."""
    observed = sum((first - second) ** 2 for first, second in pairs)
    firsts, seconds = Counter(first for first, _ in pairs), Counter(second for _, second in pairs)
    expected = sum(
        times_first * times_second * (first - second) ** 2
        for first, times_first in firsts.items()
        for second, times_second in seconds.items()
    )
    if not expected:
        return None
    return float(1 - Fraction(observed * len(pairs), expected))
