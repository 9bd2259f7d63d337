"""Step-down maxT against brute force, against the test of one comparison, and its error rate over simulated studies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from service.statistics import max_t as module
from service.statistics.family import holm
from service.statistics.max_t import max_t
from service.statistics.sign_flip import two_sided_p

Floats = NDArray[np.float64]
Noise = Callable[[np.random.Generator, tuple[int, int]], Floats]

matrices = st.tuples(st.integers(1, 8), st.integers(1, 5)).flatmap(
    lambda shape: arrays.arrays(float, shape, elements=st.integers(-40, 40).map(float))
)


def p_values(d: Floats) -> list[float]:
    return [two_sided_p(column) for column in d.T]


def adjusted(d: Floats) -> list[float]:
    return max_t(d, p_values(d))


def brute_force(d: Floats) -> list[float]:
    """Return the corrected p-values by the definition, over all 2ⁿ sign vectors."""
    n, m = d.shape
    signs = np.array(list(itertools.product([1.0, -1.0], repeat=n)))
    scales = np.sqrt((d**2).sum(axis=0))
    scales[scales == 0] = 1
    flipped, observed = np.abs(signs @ d) / scales, np.abs(d.sum(axis=0)) / scales
    order = sorted(range(m), key=lambda j: -observed[j])
    result, highest = [0.0] * m, 0.0
    for step, j in enumerate(order):
        largest = flipped[:, order[step:]].max(axis=1)
        highest = max(highest, float(np.mean(largest >= observed[j] - 1e-10)))
        result[j] = highest
    return result


@given(matrices)
def test_p_matches_brute_force_over_all_signs(d: Floats) -> None:
    assert adjusted(d) == pytest.approx(brute_force(d), abs=1e-15)


@given(arrays.arrays(float, st.integers(1, 12), elements=st.floats(-1e6, 1e6, width=32)))
def test_one_comparison_has_exactly_the_p_of_the_sign_flip_test(d: Floats) -> None:
    assert adjusted(d[:, None]) == [two_sided_p(d)]


@pytest.mark.parametrize("n", [16, 17, 20, 21, 32])
def test_one_comparison_of_many_seeds_has_exactly_the_p_of_the_sign_flip_test(n: int) -> None:
    d = np.random.default_rng(n).normal(0.5, 1, n)
    assert adjusted(d[:, None]) == [two_sided_p(d)]


@given(matrices, st.integers(0, 1000))
def test_order_and_signs_of_comparisons_and_order_of_seeds_do_not_matter(d: Floats, seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns, seeds = rng.permutation(d.shape[1]), rng.permutation(len(d))
    other = adjusted(d[seeds][:, columns] * rng.choice([-1.0, 1.0], d.shape[1]))
    assert other == pytest.approx([adjusted(d)[j] for j in columns], abs=1e-15)


@pytest.mark.parametrize("n", [7, 12, 18])
def test_adjusted_p_are_monotone_in_the_statistic_and_never_below_the_uncorrected(n: int) -> None:
    d = np.random.default_rng(n).normal(0.5, 1, (n, 33))
    result, raw = np.array(adjusted(d)), np.array(p_values(d))
    statistics = np.abs(d.sum(axis=0)) / np.linalg.norm(d, axis=0)
    assert (result >= raw).all()
    assert (np.diff(result[np.argsort(-statistics)]) >= 0).all()


def test_scaling_a_comparison_changes_nothing() -> None:
    d = np.random.default_rng(0).normal(0.5, 1, (8, 4))
    assert adjusted(d * [1e-6, 1, 3, 1e6]) == pytest.approx(adjusted(d), abs=1e-15)


def test_random_flips_agree_with_all_flips(monkeypatch: pytest.MonkeyPatch) -> None:
    d = np.random.default_rng(1).normal(0.5, 1, (14, 6))
    exact = adjusted(d)
    monkeypatch.setattr(module, "EXACT_UP_TO", 0)
    assert adjusted(d) == pytest.approx(exact, abs=0.01)
    assert adjusted(d) == adjusted(d)


def test_six_seeds_suffice_for_any_number_of_comparisons() -> None:
    d = np.random.default_rng(2).uniform(1, 1.1, (6, 50))
    assert adjusted(d) == [2 / 2**6] * 50
    assert min(holm(p_values(d))) == 1


def test_small_differences_count_beside_a_huge_one() -> None:
    d = np.column_stack([[1e13, 1, 1, 1, 1, 1], np.zeros(6)])
    assert adjusted(d) == [2 / 2**6, 1.0]


def test_empty_family_has_no_p() -> None:
    assert max_t(np.empty((6, 0)), []) == []


def normal(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.normal(size=shape)


def heavy_tails(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.standard_t(2, shape) * np.exp(rng.normal(0, 1, (shape[0], 1)))


def ties(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.integers(-1, 2, shape).astype(float)


def correlated(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Arms that hardly differ from each other; the baseline varies."""
    return rng.normal(size=shape) * [3.0, *[0.1] * (shape[1] - 1)]


def unequal_scales(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.normal(size=shape) * np.geomspace(0.1, 10, shape[1])


@pytest.mark.slow
@pytest.mark.parametrize("missing", [0.0, 0.15])
@pytest.mark.parametrize("effects", [0, 3])
@pytest.mark.parametrize("noise", [normal, heavy_tails, ties, correlated, unequal_scales])
def test_familywise_error_is_at_most_alpha(noise: Noise, effects: int, missing: float) -> None:
    """Six arms against a baseline at eight seeds; ``effects`` arms differ from it, and runs are missing at random."""
    rng, studies, wrong = np.random.default_rng(11), 1500, 0
    for _ in range(studies):
        values = noise(rng, (8, 7))
        d = values[:, 1:] - values[:, :1]
        d[:, :effects] += 2 * np.abs(d).mean()
        d[rng.random(d.shape) < missing] = 0
        wrong += any(p <= 0.05 for p in adjusted(d)[effects:])
    assert wrong / studies <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / studies)


@pytest.mark.slow
def test_ten_comparisons_at_eight_seeds_are_detected_where_holm_cannot_reject() -> None:
    """Ten comparisons, each with a true effect of 1.5 standard deviations of the differences."""
    rng, detected, studies = np.random.default_rng(12), [], 300
    for _ in range(studies):
        values = rng.normal(size=(8, 11))
        d = values[:, 1:] - values[:, :1] + 1.5 * math.sqrt(2)
        detected.append(np.mean(np.array(adjusted(d)) <= 0.05))
        assert min(holm(p_values(d))) > 0.05
    assert np.mean(detected) > 0.6
