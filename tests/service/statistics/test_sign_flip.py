"""The sign-flip test against brute force, scipy's permutation test, and what it promises."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.statistics import sign_flip as signflip
from service.statistics.sign_flip import interval, sign_flip_tests, two_sided_p

Floats = NDArray[np.float64]
differences = st.lists(st.integers(-50, 50), min_size=1, max_size=9).map(lambda values: np.array(values) / 8)
"""Eighths: sums are exact, so that brute force needs no tolerance."""


def one_sided_p(d: Floats) -> float:
    """Against "the mean is at most zero": equivalence with a margin of zero, of the two tests the one that matters."""
    far = np.abs(d).sum() + 1
    shifted = sign_flip_tests([d - far / 2], 0.05, far / 2)[0].p_equivalence
    assert shifted is not None
    return shifted


def all_signs(n: int) -> Floats:
    return np.array(list(itertools.product([1, -1], repeat=n)), dtype=float)


@given(differences)
def test_p_is_the_share_of_all_signs_that_go_as_far(d: Floats) -> None:
    sums = all_signs(len(d)) @ d
    assert two_sided_p(d) == np.mean(np.abs(sums) >= abs(d.sum()))
    assert one_sided_p(d) == np.mean(sums >= d.sum())


@pytest.mark.parametrize("n", [2, 6, 11, 20])
def test_p_is_scipys(n: int) -> None:
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
def test_the_interval_holds_just_what_the_test_does_not_reject(d: Floats, delta: float) -> None:
    found = interval(d, 0.05)
    assert (found is None) == (len(d) < 6)
    if found is None:
        return
    low, high = found
    assert low <= d.mean() <= high
    if min(abs(delta - low), abs(delta - high)) > 1e-6:
        assert (low < delta < high) == (two_sided_p(d - delta) > 0.05)


@given(differences)
def test_the_interval_is_an_order_statistic_of_the_subsets_means(d: Floats) -> None:
    if len(d) < 6:
        return
    subsets = [d[[i for i in range(len(d)) if mask >> i & 1]].mean() for mask in range(1, 2 ** len(d))]
    rank = int(0.05 * 2 ** len(d) / 2)
    found = interval(d, 0.05)
    assert found is not None
    np.testing.assert_allclose(found, (sorted(subsets)[rank - 1], sorted(subsets)[-rank]), atol=1e-7)


@given(differences)
def test_swapping_the_arms_flips_signs_and_nothing_else(d: Floats) -> None:
    assert two_sided_p(-d) == two_sided_p(d)
    there, back = interval(d, 0.05), interval(-d, 0.05)
    assert (there is None) == (back is None)
    if there is not None and back is not None:
        np.testing.assert_allclose(there, (-back[1], -back[0]), atol=1e-7)


def test_random_flips_agree_with_all_of_them_and_are_the_same_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    d = np.random.default_rng(3).normal(0.5, 1, 16)
    exact = two_sided_p(d), one_sided_p(d), interval(d, 0.05)
    monkeypatch.setattr(signflip, "EXACT_UP_TO", 15)
    close = two_sided_p(d), one_sided_p(d), interval(d, 0.05)
    assert close[0] == pytest.approx(exact[0], abs=0.003)
    assert close[1] == pytest.approx(exact[1], abs=0.003)
    assert exact[2] is not None
    assert close[2] == pytest.approx(exact[2], abs=0.02)
    assert (two_sided_p(d), one_sided_p(d), interval(d, 0.05)) == close


def test_p_is_never_zero() -> None:
    far = np.full(25, 3.0) + np.arange(25) / 100
    assert two_sided_p(far) == 1 / (signflip.FLIPS + 1)


@pytest.mark.slow
@pytest.mark.parametrize("n", [6, 8, 20])
def test_intervals_cover_the_true_mean(n: int) -> None:
    """2000 samples of a symmetric law with heavy tails; 95 % promised, 94 % demanded."""
    samples = np.random.default_rng(n).standard_t(4, (2000, n)) + 1.5
    found = [interval(sample, 0.05) for sample in samples]
    covered = [low <= 1.5 <= high for one in found if one is not None for low, high in [one]]
    assert len(covered) == 2000
    assert np.mean(covered) >= 0.94
