"""The F test of the shares of split and seed: its oracle, its symmetry, and how often it errs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from service.statistics.resampling import variance_components
from service.statistics.sign_flip import Floats


def crossed(rng: np.random.Generator, n: int, split: float, seed: float) -> Floats:
    return split * rng.normal(size=(n, 1)) + seed * rng.normal(size=n) + rng.normal(size=(n, n))


def p_of(values: Floats) -> float:
    components = variance_components(values)
    assert components is not None
    assert components.p is not None
    return components.p


def test_p_is_that_of_both_mean_squares_in_the_analysis_of_variance() -> None:
    values = crossed(np.random.default_rng(1), 8, 2.0, 0.5)
    rows, columns = (8 * float(values.mean(axis=axis).var(ddof=1)) for axis in (1, 0))
    expected = 2 * min(stats.f.sf(rows / columns, 7, 7), stats.f.cdf(rows / columns, 7, 7))
    assert p_of(values) == pytest.approx(expected, rel=1e-12)
    assert p_of(values.T) == pytest.approx(p_of(values), rel=1e-12)


def test_equal_shares_are_called_unequal_once_in_twenty_times() -> None:
    rng = np.random.default_rng(2)
    small = sum(p_of(crossed(rng, 6, 1.0, 1.0)) <= 0.05 for _ in range(2000))
    assert stats.binomtest(small, 2000, 0.05).pvalue > 0.001
    unequal = sum(p_of(crossed(rng, 10, 3.0, 0.3)) <= 0.05 for _ in range(200))
    assert unequal > 180


def test_shares_are_not_compared_without_as_many_splits_as_seeds_or_without_variance() -> None:
    values = crossed(np.random.default_rng(3), 8, 1.0, 1.0)
    for one in (values[:7], np.full((4, 4), 2.0)):
        components = variance_components(one)
        assert components is not None
        assert components.p is None
    only_split = np.repeat(np.arange(4.0)[:, None], 4, axis=1)
    assert p_of(only_split) == p_of(only_split.T) == 0.0
