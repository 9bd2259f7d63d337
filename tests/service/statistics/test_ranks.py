"""Ranks over datasets against scipy, published tables and brute force, and the family error of their groups."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy import stats

from service.statistics.across import studentized_range
from service.statistics.ranks import _groups, compare_ranks, friedman_test, signed_rank_tests, signed_ranks

Floats = NDArray[np.float64]


@settings(max_examples=40, deadline=None)
@given(arrays.arrays(float, st.tuples(st.integers(2, 8), st.integers(3, 5)), elements=st.integers(0, 6).map(float)))
def test_friedman_test_equals_scipys_with_ties(scores: Floats) -> None:
    ranks = stats.rankdata(-scores, axis=1)
    result = friedman_test(ranks)
    if result is None:
        assert (ranks == ranks[0, 0]).all()
        return
    expected = stats.friedmanchisquare(*scores.T)
    assert result.chi_square == pytest.approx(expected.statistic)
    n, k = scores.shape
    if result.f is None:
        assert result.p == pytest.approx(expected.pvalue)
    else:
        f = (n - 1) * expected.statistic / (n * (k - 1) - expected.statistic)
        assert [result.f, result.p] == pytest.approx([f, stats.f.sf(f, k - 1, (k - 1) * (n - 1))])


@settings(max_examples=40, deadline=None)
@given(arrays.arrays(float, st.integers(2, 9), elements=st.integers(-5, 5).map(float)))
def test_signed_rank_p_counts_all_choices_of_signs(d: Floats) -> None:
    ranks = stats.rankdata(np.abs(d[d != 0]))
    signs = np.array(list(itertools.product([1, -1], repeat=len(ranks)))).reshape(2 ** len(ranks), len(ranks))
    observed = abs((np.sign(d[d != 0]) * ranks).sum())
    (test,) = signed_rank_tests(np.column_stack([d, np.zeros(len(d))]), [(0, 1)], "max_t")
    assert test.p == test.p_adjusted == test.p_holm == pytest.approx((np.abs(signs @ ranks) >= observed - 1e-9).mean())
    assert (test.wins, test.losses) == ((d > 0).sum(), (d < 0).sum())


def test_signed_rank_p_equals_wilcoxons_without_ties() -> None:
    scores = np.random.default_rng(1).normal(size=(12, 4))
    pairs = list(itertools.combinations(range(4), 2))
    for (a, b), test in zip(pairs, signed_rank_tests(scores, pairs, "holm"), strict=True):
        assert test.p == pytest.approx(stats.wilcoxon(scores[:, a], scores[:, b]).pvalue)


def test_critical_values_are_those_of_demsar() -> None:
    """Table 5 of Demšar 2006: quantiles of the studentized range over √2."""
    table = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}
    assert {k: studentized_range(k, 0.05) / np.sqrt(2) for k in table} == pytest.approx(table, abs=1e-3)
    scores = np.random.default_rng(2).normal(size=(14, 4))
    assert compare_ranks(scores, 0.05, "max_t").nemenyi == pytest.approx(1.25, abs=0.005)  # Demšar's example


def test_groups_are_the_longest_neighbors_without_a_significant_pair() -> None:
    assert _groups([2, 0, 1, 3], set()) == [(2, 0, 1, 3)]
    assert _groups([0, 1, 2, 3], {(0, 2), (0, 3), (1, 3)}) == [(0, 1), (1, 2), (2, 3)]
    assert _groups([0, 1, 2, 3], {(0, 3)}) == [(0, 1, 2), (1, 2, 3)]
    assert _groups([1, 0], {(0, 1)}) == []


def test_five_datasets_cannot_tell_arms_apart_and_six_can() -> None:
    scores = np.arange(1.0, 7)[:, None] + np.arange(3) * np.arange(2, 8)[:, None]
    five, six = (compare_ranks(scores[:n], 0.05, "max_t") for n in (5, 6))
    assert (five.mean_ranks, five.groups) == ((3, 2, 1), ((2, 1, 0),))
    assert six.groups == ()
    assert compare_ranks(scores, 0.05, "holm").groups == ((2, 1, 0),)  # 3 pairs at 2/2⁶ each are above 0.05


@pytest.mark.parametrize("noise", ["normal", "lognormal", "ties"])
def test_family_error_of_groups_is_at_most_alpha_without_effects(noise: str) -> None:
    """Over 300 studies of four equal arms on eight datasets; 0.05 plus three simulation errors of 0.0126."""
    values = np.random.default_rng(7).normal(size=(300, 8, 4))
    scores = {"normal": values, "lognormal": np.exp(1.5 * values), "ties": np.floor(2 * values)}[noise]
    wrong = sum([len(group) for group in compare_ranks(one, 0.05, "max_t").groups] != [4] for one in scores)
    assert wrong / 300 <= 0.05 + 3 * 0.0126


def test_signed_ranks_leave_zeros_out() -> None:
    assert signed_ranks(np.array([[0.0, -2], [-3, -2], [1, 5]])).tolist() == [[0, -1.5], [-2, -1.5], [1, 3]]
