"""Ranks of arms over datasets: which arms differ beyond the datasets of a study, and the critical-difference diagram.

The unit is the dataset. If two arms do not differ, their difference on a dataset could as well have had the other
sign; the Wilcoxon signed-rank test counts that over all choices of signs, on the ranks of the absolute differences. It
is the sign-flip test of signed ranks, exact with ties, and corrected by step-down maxT or Holm like every family of
pairs. Mean ranks order the arms, but do not decide, because their difference depends on the other arms in the study
(Benavoli et al.). Nemenyi's critical difference, which is based on them, is for reading the diagram.

Reference: Wilcoxon, 1945, "Individual comparisons by ranking methods"; Friedman, 1937, "The use of ranks"; Iman and
Davenport, 1980, "Approximations of the critical region of the Friedman statistic"; Demšar, 2006, "Statistical
comparisons of classifiers over multiple data sets"; Benavoli et al., 2016, "Should we really use post-hoc tests based
on mean-ranks?".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.statistics.across import studentized_range
from service.statistics.correction import Correction
from service.statistics.family import holm
from service.statistics.max_t import max_t
from service.statistics.sign_flip import Floats, sign_flip_tests

MIN_ARMS = 3
"""Arms from which the Friedman test says more than the test of their only pair."""


@dataclass(frozen=True)
class RankTest:
    """The signed-rank test of two arms over datasets."""

    wins: int
    losses: int
    p: float
    p_adjusted: float
    p_holm: float
    favorable: bool
    """Whether the sum of signed ranks is positive."""


@dataclass(frozen=True)
class Friedman:
    """The Friedman test with Iman and Davenport's correction: whether any two arms differ."""

    chi_square: float
    f: float | None
    """None if it is infinite, as all datasets rank the arms alike; p is then that of χ²."""
    freedom: tuple[int, int]
    p: float


@dataclass(frozen=True)
class RankComparison:
    """Mean ranks of arms over datasets, and the groups of arms that do not differ significantly."""

    mean_ranks: tuple[float, ...]
    """1 is the best; ties share the mean of their ranks."""
    friedman: Friedman | None
    nemenyi: float
    """Critical difference of mean ranks at α."""
    groups: tuple[tuple[int, ...], ...]
    """Largest sets of arms, neighbors by mean rank, no two of which differ significantly; best first."""


def compare_ranks(scores: Floats, alpha: float, correction: Correction) -> RankComparison:
    """Rank arms by ``scores`` (datasets, arms), higher being better, and group those that do not differ."""
    from scipy import stats  # noqa: PLC0415 - slow to import; the server starts without it

    datasets, arms = scores.shape
    ranks = stats.rankdata(-scores, axis=1)
    means = ranks.mean(axis=0)
    pairs = list(itertools.combinations(range(arms), 2))
    tests = signed_rank_tests(scores, pairs, correction)
    distinct = {pair for pair, test in zip(pairs, tests, strict=True) if test.p_adjusted <= alpha}
    return RankComparison(
        mean_ranks=tuple(means.tolist()),
        friedman=friedman_test(ranks),
        nemenyi=studentized_range(arms, alpha) / math.sqrt(2) * math.sqrt(arms * (arms + 1) / (6 * datasets)),
        groups=tuple(_groups([int(arm) for arm in np.argsort(means, kind="stable")], distinct)),
    )


def signed_rank_tests(scores: Floats, pairs: Sequence[tuple[int, int]], correction: Correction) -> list[RankTest]:
    """Test pairs (arm, other) of the columns of ``scores`` (datasets, arms); corrected for their number."""
    if not pairs:
        return []
    differences = np.column_stack([scores[:, arm] - scores[:, other] for arm, other in pairs])
    ranks = signed_ranks(differences)
    p_values = [result.p for result in sign_flip_tests(list(ranks.T), 1.0)]  # at level 1 there are no intervals
    by_holm = holm(p_values)
    adjusted = max_t(ranks, p_values) if correction == "max_t" else by_holm
    wins, losses = (differences > 0).sum(axis=0), (differences < 0).sum(axis=0)
    return [
        RankTest(int(won), int(lost), p, p_adjusted, p_holm, favorable=bool(column.sum() > 0))
        for won, lost, p, p_adjusted, p_holm, column in zip(
            wins, losses, p_values, adjusted, by_holm, ranks.T, strict=True
        )
    ]


def signed_ranks(differences: Floats) -> Floats:
    """Return the ranks of the absolute values of every column, with the signs of the values; zeros are not ranked."""
    from scipy import stats  # noqa: PLC0415 - slow to import; the server starts without it

    absolutes = np.where(differences == 0, np.nan, np.abs(differences))
    ranks = np.nan_to_num(stats.rankdata(absolutes, axis=0, nan_policy="omit"))
    return np.asarray(np.sign(differences) * ranks, dtype=np.float64)


def friedman_test(ranks: Floats) -> Friedman | None:
    """Test ``ranks`` (datasets, arms) by Friedman's χ², corrected for ties; None for two arms or one dataset."""
    from scipy import special  # noqa: PLC0415 - slow to import; the server starts without it

    datasets, arms = ranks.shape
    spread = float((ranks**2).sum()) - datasets * arms * (arms + 1) ** 2 / 4
    if arms < MIN_ARMS or datasets < 2 or spread == 0:  # no spread: all arms tie on every dataset
        return None
    between = float(((ranks.sum(axis=0) - datasets * (arms + 1) / 2) ** 2).sum())
    chi_square = (arms - 1) * between / spread
    freedom = (arms - 1, (arms - 1) * (datasets - 1))
    remaining = datasets * (arms - 1) - chi_square
    if remaining <= 1e-9 * datasets * arms:
        return Friedman(chi_square, None, freedom, float(special.chdtrc(arms - 1, chi_square)))
    f = (datasets - 1) * chi_square / remaining
    return Friedman(chi_square, f, freedom, float(special.fdtrc(*freedom, f)))


def _groups(order: Sequence[int], distinct: set[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Return the longest runs of at least two arms in ``order`` without a pair in ``distinct``."""
    groups: list[tuple[int, ...]] = []
    last_end = 0
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and not any(
            (min(one, order[end]), max(one, order[end])) in distinct for one in order[start:end]
        ):
            end += 1
        if end - start > 1 and end > last_end:
            groups.append(tuple(order[start:end]))
        last_end = max(last_end, end)
    return groups
