"""The choice among arms: its figures against NumPy's, and properties that hold for all values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.statistics.choice import Choice, Rule, choose
from service.statistics.pairing import Measurement, State

Table = np.ndarray[Any, np.dtype[np.float64]]
"""Values by arm, seed and fold."""


def rows(table: Table) -> list[Measurement]:
    return [
        Measurement(str(arm), seed, f" fold {fold}", "measured", float(table[arm, seed, fold]))
        for arm, seed, fold in np.ndindex(*table.shape)
    ]


def optional_choice(measurements: list[Measurement], arms: int, **options: Any) -> Choice | None:
    """Choose among arms named by their numbers; the larger number is simpler."""
    defaults: dict[str, Any] = {
        "arms": [str(arm) for arm in range(arms)],
        "rule": "one_standard_error",
        "simplicity": {str(arm): (float(arm),) for arm in range(arms)},
        "lower_is_better": True,
        "on_folds": True,
    }
    return choose(measurements, **{**defaults, **options})


def choice_of(measurements: list[Measurement], arms: int, **options: Any) -> Choice:
    choice = optional_choice(measurements, arms, **options)
    assert choice is not None
    return choice


tables = (
    st.integers(0, 10_000)
    .map(np.random.default_rng)
    .flatmap(
        lambda rng: st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(2, 8)).map(
            lambda shape: rng.normal(0, 1, shape) + rng.normal(0, 0.3, (shape[0], 1, 1))
        )
    )
)


@given(tables)
def test_mean_std_and_error_match_numpy_over_folds_of_averaged_seeds(table: Table) -> None:
    choice = choice_of(rows(table), len(table))
    for arm, one in zip(table, choice.candidates, strict=True):
        of_fold = arm.mean(axis=0)
        assert one.values == pytest.approx(tuple(of_fold))
        assert one.mean == pytest.approx(arm.mean())
        assert one.std == pytest.approx(np.std(of_fold, ddof=1))
        assert one.standard_error == pytest.approx(np.std(of_fold, ddof=1) / np.sqrt(table.shape[2]))
    means = table.mean(axis=(1, 2))
    best = int(means.argmin())
    assert (choice.best, choice.over, choice.seeds) == (str(best), "folds", tuple(range(table.shape[1])))
    assert choice.threshold == pytest.approx(
        means[best] + np.std(table[best].mean(axis=0), ddof=1) / table.shape[2] ** 0.5
    )
    within = means <= choice.threshold
    assert [one.within for one in choice.candidates] == within.tolist()
    assert choice.chosen == str(np.flatnonzero(within).max())


@given(tables)
def test_higher_is_better_equals_lower_is_better_of_negated_values(table: Table) -> None:
    low, high = choice_of(rows(table), len(table)), choice_of(rows(-table), len(table), lower_is_better=False)
    assert (low.chosen, low.best) == (high.chosen, high.best)
    assert high.threshold == pytest.approx(-(low.threshold or 0))


@given(tables)
def test_best_arm_is_chosen_by_either_rule_if_it_is_the_simplest(table: Table) -> None:
    rules: tuple[Rule, ...] = ("best", "one_standard_error")
    best, simplest = (choice_of(rows(table), len(table), rule=rule) for rule in rules)
    assert best.chosen == best.best == simplest.best
    reverse = {str(arm): (float(arm == int(best.best)),) for arm in range(len(table))}
    assert choice_of(rows(table), len(table), simplicity=reverse).chosen == best.best


def test_equally_simple_arms_are_ranked_by_their_means() -> None:
    table = np.array([[[1.0, 2.0, 3.0]], [[1.1, 2.1, 3.1]], [[1.2, 2.2, 3.2]]])
    assert choice_of(rows(table), 3, simplicity={"0": (0.0,), "1": (1.0,), "2": (1.0,)}).chosen == "1"
    assert choice_of(rows(table), 3, simplicity={"0": (0.0, 5), "1": (1.0, 2.0), "2": (1.0, 3.0)}).chosen == "2"


def test_repeated_seeds_of_the_same_folds_do_not_shrink_the_error() -> None:
    """Seeds with equal values are no more evidence than one: their rows are the same."""
    once = np.random.default_rng(3).normal(0, 1, (2, 1, 5))
    many = np.repeat(once, 30, axis=1)
    assert choice_of(rows(many), 2).threshold == pytest.approx(choice_of(rows(once), 2).threshold)


def test_spread_without_folds_is_over_seeds_and_none_for_one_seed() -> None:
    seeds = np.random.default_rng(5).normal(0, 1, (3, 6, 1))
    choice = choice_of(rows(seeds), 3, on_folds=False)
    assert choice.over == "seeds"
    for arm, one in zip(seeds[:, :, 0], choice.candidates, strict=True):
        assert one.standard_error == pytest.approx(np.std(arm, ddof=1) / np.sqrt(6))
    single = choice_of(rows(seeds[:, :1]), 3, on_folds=False)
    assert (single.over, single.threshold, [one.std for one in single.candidates]) == (None, None, [None] * 3)
    assert [one.id for one in single.candidates if one.within] == [single.best] == [single.chosen]


def changed(measurements: list[Measurement], place: tuple[str, int, int], state: State) -> list[Measurement]:
    arm, seed, fold = place
    return [
        Measurement(one.group, one.seed, one.cell, state)
        if (one.group, one.seed, one.cell) == (arm, seed, f" fold {fold}")
        else one
        for one in measurements
    ]


def test_arm_with_a_diverged_run_is_not_chosen() -> None:
    table = np.random.default_rng(7).normal(0, 1, (3, 2, 4)) - np.array([[[0.0]], [[50.0]], [[0.0]]])
    choice = choice_of(changed(rows(table), ("1", 1, 2), "diverged"), 3, rule="best")
    assert choice.best != "1"
    lost = choice.candidates[1]
    assert (lost.mean, lost.diverged, lost.within, lost.values) == (None, 1, False, ())
    assert choice.seeds == (0, 1)


@pytest.mark.parametrize("state", ["unfinished", "missing"])
def test_arms_are_judged_by_the_seeds_complete_in_all_of_them(state: State) -> None:
    table = np.random.default_rng(9).normal(0, 1, (3, 3, 4))
    choice = choice_of(changed(rows(table), ("1", 1, 2), state), 3)
    assert choice.seeds == (0, 2)
    assert choice.candidates[0].mean == pytest.approx(table[0, [0, 2]].mean())
    assert getattr(choice.candidates[1], state) == 1
    incomplete = changed(changed(rows(table[:, :2]), ("1", 1, 2), state), ("1", 0, 1), state)
    assert choice_of(incomplete, 3).candidates[1].mean is None, "an arm without a complete seed delays no choice"
    disjoint = changed(changed(rows(table[:, :2]), ("1", 1, 2), state), ("0", 0, 1), state)
    assert optional_choice(disjoint, 3) is None, "no seed is complete in both"
    assert optional_choice([], 3) is None
