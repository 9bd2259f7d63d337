"""The sign-flip test against brute force and SciPy's permutation test, and the coverage of its intervals."""

from __future__ import annotations

import itertools
import operator
from fractions import Fraction

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.statistics import sign_flip
from service.statistics.sign_flip import interval, sign_flip_tests, two_sided_p

Floats = NDArray[np.float64]
differences = st.lists(st.integers(-50, 50), min_size=1, max_size=9).map(lambda values: np.array(values) / 8)
"""Eighths: sums are exact, so that brute force needs no tolerance."""


def one_sided_p(d: Floats) -> float:
    """Return p against "the mean is at most zero": the one of the two equivalence tests that decides at this margin."""
    far = np.abs(d).sum() + 1
    shifted = sign_flip_tests([d - far / 2], 0.05, far / 2)[0].p_equivalence
    assert shifted is not None
    return shifted


def all_signs(n: int) -> Floats:
    return np.array(list(itertools.product([1, -1], repeat=n)), dtype=float)


@given(differences)
def test_p_matches_brute_force_over_all_signs(d: Floats) -> None:
    sums = all_signs(len(d)) @ d
    assert two_sided_p(d) == np.mean(np.abs(sums) >= abs(d.sum()))
    assert one_sided_p(d) == np.mean(sums >= d.sum())


@pytest.mark.parametrize("n", [2, 6, 11, 20])
def test_p_matches_scipys_permutation_test(n: int) -> None:
    d = np.random.default_rng(n).normal(0.4, 1, n)
    if n <= 11:
        theirs = scipy.stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
        assert two_sided_p(d) == pytest.approx(theirs.pvalue, abs=1e-12)
    else:
        close = scipy.stats.permutation_test(
            (d,), np.mean, permutation_type="samples", n_resamples=50_000, rng=np.random.default_rng(0)
        )
        assert two_sided_p(d) == pytest.approx(close.pvalue, abs=0.01)


@given(differences, st.floats(-8, 8))
def test_interval_contains_exactly_the_means_not_rejected(d: Floats, delta: float) -> None:
    limits = interval(d, 0.05)
    assert (limits is None) == (len(d) < 6)
    if limits is None:
        return
    low, high = limits
    assert low <= d.mean() <= high
    if min(abs(delta - low), abs(delta - high)) > 1e-6:
        assert (low < delta < high) == (two_sided_p(d - delta) > 0.05)


@given(differences)
def test_interval_ends_are_order_statistics_of_subset_means(d: Floats) -> None:
    if len(d) < 6:
        return
    subsets = [d[[i for i in range(len(d)) if mask >> i & 1]].mean() for mask in range(1, 2 ** len(d))]
    rank = int(0.05 * 2 ** len(d) / 2)
    limits = interval(d, 0.05)
    assert limits is not None
    np.testing.assert_allclose(limits, (sorted(subsets)[rank - 1], sorted(subsets)[-rank]), atol=1e-7)


@given(differences)
def test_swapped_arms_have_equal_p_and_mirrored_interval(d: Floats) -> None:
    assert two_sided_p(-d) == two_sided_p(d)
    forward, backward = interval(d, 0.05), interval(-d, 0.05)
    assert (forward is None) == (backward is None)
    if forward is not None and backward is not None:
        np.testing.assert_allclose(forward, (-backward[1], -backward[0]), atol=1e-7)


def test_random_flips_approximate_all_flips_and_are_reproducible(monkeypatch: pytest.MonkeyPatch) -> None:
    d = np.random.default_rng(3).normal(0.5, 1, 16)
    exact = two_sided_p(d), one_sided_p(d), interval(d, 0.05)
    monkeypatch.setattr(sign_flip, "EXACT_UP_TO", 15)
    close = two_sided_p(d), one_sided_p(d), interval(d, 0.05)
    assert close[0] == pytest.approx(exact[0], abs=0.003)
    assert close[1] == pytest.approx(exact[1], abs=0.003)
    assert exact[2] is not None
    assert close[2] == pytest.approx(exact[2], abs=0.02)
    assert (two_sided_p(d), one_sided_p(d), interval(d, 0.05)) == close


@pytest.mark.parametrize("huge", [1e3, 1e9, 1e12])
def test_huge_difference_does_not_hide_small_ones(huge: float) -> None:
    small = [0.0003, -0.0001, 0.0002, -0.0002, 0.0004]
    d = np.array([huge, *small])
    subsets = itertools.product([0, 1], repeat=6)
    share = np.mean([sum(map(operator.mul, map(Fraction, d.tolist()), chosen)) <= 0 for chosen in subsets])
    assert two_sided_p(d) == 2 * share
    assert two_sided_p(-d) == 2 * share


def test_huge_difference_does_not_hide_small_ones_among_random_flips() -> None:
    assert two_sided_p(np.array([1e9, *[1e-4] * 24])) == 1 / (sign_flip.FLIPS + 1)


def test_sums_that_differ_by_rounding_are_ties() -> None:
    d = np.array([0.1, 0.2, -0.3, 0.3, 0.4, 0.5])
    tenths = np.array([1.0, 2.0, -3.0, 3.0, 4.0, 5.0])
    assert two_sided_p(d) == two_sided_p(tenths)


def test_p_is_never_zero() -> None:
    far = np.full(25, 3.0) + np.arange(25) / 100
    assert two_sided_p(far) == 1 / (sign_flip.FLIPS + 1)


@pytest.mark.slow
@pytest.mark.parametrize("n", [6, 8, 20])
def test_intervals_cover_the_true_mean(n: int) -> None:
    """2000 samples of a symmetric heavy-tailed law; nominal coverage 95 %, required 94 %."""
    samples = np.random.default_rng(n).standard_t(4, (2000, n)) + 1.5
    intervals = [interval(sample, 0.05) for sample in samples]
    covered = [low <= 1.5 <= high for one in intervals if one is not None for low, high in [one]]
    assert len(covered) == 2000
    assert np.mean(covered) >= 0.94
