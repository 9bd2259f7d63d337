"""Mean curves: seeds that end early carry on their last value, and failed ones do not count."""

from __future__ import annotations

import numpy as np
import pytest

from service.statistics.curves import Series, curve


def series(*values: float, succeeded: bool = True, failed: bool = False) -> Series:
    return Series(np.array(values), succeeded and not failed, failed)


def test_seed_that_ended_early_counts_with_its_last_value() -> None:
    """Without it, the mean would jump from 2 to 3 because the better seed stopped."""
    result = curve("arm", {0: [series(3, 3, 3, 3)], 1: [series(1, 1)]})
    assert (result.n, result.carried) == ([2, 2, 2, 2], [0, 0, 1, 1])
    assert result.mean == [2, 2, 2, 2]
    assert result.high[3] == pytest.approx(2 + np.sqrt(2))


def test_seed_that_still_trains_counts_only_with_its_values() -> None:
    result = curve("arm", {0: [series(3, 3, 3)], 1: [series(1, succeeded=False)]})
    assert (result.n, result.carried, result.mean) == ([2, 1, 1], [0, 0, 0], [2, 3, 3])


def test_failed_seed_does_not_count_unless_all_failed() -> None:
    diverged = [series(5, 50, np.nan, failed=True)]
    assert curve("arm", {0: [series(3, 3, 3)], 1: diverged}).mean == [3, 3, 3]
    alone = curve("arm", {1: diverged})
    assert (alone.n, alone.mean) == ([1, 1, 0], [5, 50, None])


def test_folds_of_a_seed_carry_on_until_all_have_ended() -> None:
    result = curve("arm", {0: [series(2, 2, 2), series(4)]})
    assert (result.n, result.carried, result.mean) == ([1, 1, 1], [0, 1, 1], [3, 3, 3])
    unfinished = curve("arm", {0: [series(2, 2, 2), series(4, succeeded=False)]})
    assert unfinished.mean == [3, None, None]
    assert curve("arm", {}).epoch == []


def test_curve_of_a_series_that_is_measured_every_few_epochs_has_these_epochs_and_the_last() -> None:
    """A seed that ended between two evaluations counts from the next one on, so that the mean does not jump."""
    gap = np.nan
    result = curve("arm", {0: [series(gap, 3, gap, 3, gap, 3, 3)], 1: [series(gap, 1, 1)]}, every=2)
    assert (result.epoch, result.n, result.carried) == ([2, 4, 6, 7], [2, 2, 2, 2], [0, 1, 1, 1])
    assert result.mean == [2, 2, 2, 2]
    running = curve("arm", {0: [series(gap, 3, gap, succeeded=False)]}, every=2)
    assert (running.epoch, running.mean) == ([2], [3])


def test_band_ends_where_the_metric_does() -> None:
    seeds = {seed: [series(loss)] for seed, loss in enumerate((0.0, 0.0, 0.0, 1.0))}
    assert curve("arm", seeds).low == [pytest.approx(0.25 - 0.5)]
    limited = curve("arm", seeds, limits=(0, 0.6))
    assert (limited.low, limited.mean, limited.high, limited.median) == ([0], [0.25], [0.6], None)


def test_quartiles_are_those_of_numpy_over_the_seeds_that_count() -> None:
    rng = np.random.default_rng(0)
    table = rng.exponential(size=(9, 4))
    runs = {seed: [series(*values)] for seed, values in enumerate(table)}
    result = curve("arm", {**runs, 9: [series(7, 7, np.nan, failed=True)]}, band="quartiles", limits=(0, 1e-9))
    assert result.mean == pytest.approx(table.mean(0))
    for values, quantile in ((result.low, 0.25), (result.median, 0.5), (result.high, 0.75)):
        assert values == pytest.approx(np.quantile(table, quantile, axis=0))
    running = curve("arm", {0: [series(1, 2)], 1: [series(3, np.nan, succeeded=False)]}, band="quartiles")
    assert (running.median, running.low, running.high) == ([2, 2], [1.5, 2], [2.5, 2])
    assert curve("arm", {}, band="quartiles").median == []
