"""The number of seeds that a comparison needs, against simulations of the test that it runs."""

from __future__ import annotations

import numpy as np
import pytest

from service.statistics.design import Design
from service.statistics.power import POWER, is_detected, min_seeds, seeds_for_power, sequential_power
from service.statistics.sign_flip import sign_flip_tests, two_sided_p


@pytest.mark.parametrize(("comparisons", "seeds"), [(1, 6), (2, 7), (3, 7), (4, 8), (45, 11)])
def test_min_seeds_can_be_significant_and_one_seed_less_cannot(comparisons: int, seeds: int) -> None:
    assert min_seeds(0.05, comparisons) == seeds
    smallest = [comparisons * two_sided_p(np.arange(1.0, n + 1)) for n in (seeds - 1, seeds)]
    assert smallest[0] > 0.05 >= smallest[1]


def simulated_power(n: int, ratio: float, level: float) -> float:
    """Return the share of 1,000 normal samples in which the sign-flip test rejects."""
    samples = np.random.default_rng(100).normal(ratio, 1, (1000, n))
    return float(np.mean([result.p <= level + 1e-12 for result in sign_flip_tests(list(samples), 1.0)]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ratio", "comparisons", "seeds"), [(5.0, 1, 6), (1.5, 1, 7), (1.0, 1, 11), (0.8, 1, 15), (1.5, 10, 11)]
)
def test_seeds_for_power_suffice_for_the_test_that_is_run_and_one_less_does_not(
    ratio: float, comparisons: int, seeds: int
) -> None:
    assert seeds_for_power(1.0, ratio, 0.05, comparisons) == seeds
    assert simulated_power(seeds, ratio, 0.05 / comparisons) >= POWER - 0.03
    if seeds > min_seeds(0.05, comparisons):
        assert simulated_power(seeds - 1, ratio, 0.05 / comparisons) <= POWER + 0.03


def test_six_seeds_detect_less_than_a_t_test_promises() -> None:
    assert simulated_power(6, 1.5, 0.05) == pytest.approx(0.665, abs=0.04)
    assert not is_detected(6, 1.5, 0.05)


@pytest.mark.slow
def test_power_of_many_seeds_is_that_of_the_paired_t_test() -> None:
    assert seeds_for_power(1.0, 0.5, 0.05, 1) == 34  # Cohen 1988: d = 0.5, two-sided 0.05, power 0.8
    assert simulated_power(34, 0.5, 0.05) == pytest.approx(POWER, abs=0.05)


@pytest.mark.parametrize("seeds", [100, 1000, 66_010])
def test_large_numbers_of_seeds_follow_the_normal_law(seeds: int) -> None:
    ratio = (2.241403 + 0.841621) / np.sqrt(seeds)  # quantiles of the normal law at 1 − 0.05/4 and 0.8
    assert seeds_for_power(1.0, float(ratio), 0.05, 2) == pytest.approx(seeds, abs=4)


def test_more_seeds_are_never_needed_for_a_larger_effect() -> None:
    needed = [seeds_for_power(1.0, ratio, 0.05, 2) or 0 for ratio in np.geomspace(0.01, 20, 60)]
    assert min(needed) > 0
    assert needed == sorted(needed, reverse=True)


def test_power_needs_at_least_the_seeds_of_significance() -> None:
    assert seeds_for_power(0.0, 0.1, 0.05, 1) == 6
    assert seeds_for_power(0.01, 10.0, 0.05, 3) == 7
    assert seeds_for_power(1000.0, 0.001, 0.05, 1) is None


def test_single_look_has_the_power_of_the_fixed_test() -> None:
    fixed = simulated_power(8, 1.2, 0.05)
    sequential = sequential_power(Design(8), 1.2, studies=300)
    assert sequential.power == pytest.approx(fixed, abs=0.1)
    assert sequential.seeds == 8


def test_large_effects_end_a_sequential_study_at_its_first_look() -> None:
    design = Design(12, first=8, step=2)
    assert sequential_power(design, 5.0, 3, studies=50).seeds < 8.5
    assert sequential_power(design, 0.0, 3, studies=50).seeds > 11.5
