"""Holm's correction, the number of seeds needed, and power."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from service.statistics.family import holm, min_seeds, seeds_for_power, sign_test_p
from service.statistics.sign_flip import two_sided_p


def test_holm_matches_a_case_worked_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_lies_between_uncorrected_and_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= a <= min(1, len(p_values) * p) + 1e-12 for p, a in zip(p_values, adjusted, strict=True))
    assert sorted(range(len(p_values)), key=lambda i: (p_values[i], adjusted[i])) == sorted(
        range(len(p_values)), key=lambda i: (adjusted[i], p_values[i])
    )


@pytest.mark.parametrize(("comparisons", "seeds"), [(1, 6), (2, 7), (3, 7), (4, 8), (45, 11)])
def test_min_seeds_can_be_significant_and_one_seed_less_cannot(comparisons: int, seeds: int) -> None:
    assert min_seeds(0.05, comparisons) == seeds
    smallest = [comparisons * two_sided_p(np.arange(1.0, n + 1)) for n in (seeds - 1, seeds)]
    assert smallest[0] > 0.05 >= smallest[1]


def test_power_matches_the_paired_t_test() -> None:
    n = seeds_for_power(1.0, 0.5, 0.05, 1)
    assert n == 34  # Cohen 1988: d = 0.5, two-sided 0.05, power 0.8
    rng = np.random.default_rng(0)
    detected = scipy.stats.ttest_1samp(rng.normal(0.5, 1, (4000, 34)), 0, axis=1).pvalue < 0.05
    assert detected.mean() == pytest.approx(0.8, abs=0.03)


def test_power_needs_at_least_the_seeds_of_significance() -> None:
    assert seeds_for_power(0.0, 0.1, 0.05, 1) == 6
    assert seeds_for_power(0.01, 10.0, 0.05, 3) == 7
    assert seeds_for_power(1000.0, 0.001, 0.05, 1) is None


@given(st.integers(0, 12), st.integers(0, 12))
def test_sign_test_matches_scipys_binomial_test(wins: int, losses: int) -> None:
    expected = scipy.stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert sign_test_p(wins, losses) == pytest.approx(expected, abs=1e-12)
