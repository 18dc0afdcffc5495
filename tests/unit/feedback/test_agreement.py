"""Agreement of two raters: the figures are those of scikit-learn's `cohen_kappa_score(weights="quadratic")` and of paper and pencil."""

import random

import pytest

from tandem_feedback.domain.agreement import agreement, weighted_kappa

TWELVE = [
    (5, 5),
    (4, 5),
    (3, 3),
    (2, 3),
    (1, 1),
    (4, 4),
    (5, 3),
    (2, 2),
    (3, 4),
    (4, 2),
    (5, 4),
    (1, 2),
]


def test_kappa_is_scikit_learns() -> None:
    assert weighted_kappa(TWELVE) == pytest.approx(0.6904761904761905, abs=1e-12)
    chance = random.Random(7)
    many = [(chance.randint(1, 5), chance.randint(1, 5)) for _ in range(200)]
    assert weighted_kappa(many) == pytest.approx(-0.07965225563909772, abs=1e-12)


def test_kappa_is_what_paper_and_pencil_say() -> None:
    # One pair of three differs, by 1; of the nine pairings by chance five would: 1 - (1/3) / (5/9) = 2/5.
    assert weighted_kappa([(1, 1), (1, 2), (2, 2)]) == pytest.approx(0.4, abs=1e-12)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(1, 1), (3, 3), (5, 5)], 1.0),
        ([(1, 5), (5, 1), (2, 4), (4, 2)], -1.0),
        ([(1, 3), (5, 3)], 0.0),
        ([(4, 4), (4, 4)], None),
        ([(4, 4)], None),
    ],
    ids=["always the same", "always the opposite", "one does not look", "nothing varies", "one pair"],
)
def test_kappa_at_its_ends(pairs: list[tuple[int, int]], expected: float | None) -> None:
    assert weighted_kappa(pairs) == expected


def test_means_and_shares_are_told_beside_it() -> None:
    found = agreement([(1, 2), (3, 3), (5, 3), (4, 5)])
    assert found is not None
    assert (found.count, found.mean_first, found.mean_second, found.mean_difference) == (4, 3.25, 3.25, 0)
    assert (found.exact_share, found.within_one_share) == (0.25, 0.75)


def test_nothing_is_told_without_a_pair() -> None:
    assert agreement([]) is None
