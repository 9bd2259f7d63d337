"""The choice among arms: its figures against numpy's, and what holds of it whatever the values are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.statistics.choice import Choice, Rule, choose
from service.statistics.comparison import Measured, State

Table = np.ndarray[Any, np.dtype[np.float64]]
"""Values by arm, seed and fold."""


def rows(table: Table) -> list[Measured]:
    return [
        Measured(str(arm), seed, f" fold {fold}", "measured", float(table[arm, seed, fold]))
        for arm, seed, fold in np.ndindex(*table.shape)
    ]


def chosen(measured: list[Measured], arms: int, **asked: Any) -> Choice | None:
    """The arms' names are their numbers, and the larger one is simpler."""
    usual: dict[str, Any] = {
        "arms": [str(arm) for arm in range(arms)],
        "rule": "one_standard_error",
        "simplicity": {str(arm): (float(arm),) for arm in range(arms)},
        "lower_is_better": True,
        "on_folds": True,
    }
    return choose(measured, **{**usual, **asked})


def surely(measured: list[Measured], arms: int, **asked: Any) -> Choice:
    choice = chosen(measured, arms, **asked)
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
def test_means_deviations_and_errors_are_numpys_over_folds_after_seeds_were_averaged(table: Table) -> None:
    choice = surely(rows(table), len(table))
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
def test_where_high_is_better_the_choice_is_that_of_the_negated_values(table: Table) -> None:
    low, high = surely(rows(table), len(table)), surely(rows(-table), len(table), lower_is_better=False)
    assert (low.chosen, low.best) == (high.chosen, high.best)
    assert high.threshold == pytest.approx(-(low.threshold or 0))


@given(tables)
def test_the_best_is_chosen_by_its_rule_and_by_the_other_where_it_is_the_simplest(table: Table) -> None:
    rules: tuple[Rule, ...] = ("best", "one_standard_error")
    best, simplest = (surely(rows(table), len(table), rule=rule) for rule in rules)
    assert best.chosen == best.best == simplest.best
    reverse = {str(arm): (float(arm == int(best.best)),) for arm in range(len(table))}
    assert surely(rows(table), len(table), simplicity=reverse).chosen == best.best


def test_what_is_equally_simple_is_chosen_by_its_mean() -> None:
    table = np.array([[[1.0, 2.0, 3.0]], [[1.1, 2.1, 3.1]], [[1.2, 2.2, 3.2]]])
    assert surely(rows(table), 3, simplicity={"0": (0.0,), "1": (1.0,), "2": (1.0,)}).chosen == "1"
    assert surely(rows(table), 3, simplicity={"0": (0.0, 5), "1": (1.0, 2.0), "2": (1.0, 3.0)}).chosen == "2"


def test_more_seeds_of_the_same_folds_do_not_make_the_error_smaller_by_themselves() -> None:
    """Seeds that say all the same are no more evidence than one: the rows are the same."""
    once = np.random.default_rng(3).normal(0, 1, (2, 1, 5))
    many = np.repeat(once, 30, axis=1)
    assert surely(rows(many), 2).threshold == pytest.approx(surely(rows(once), 2).threshold)


def test_without_folds_the_spread_is_over_seeds_and_one_seed_has_none() -> None:
    seeds = np.random.default_rng(5).normal(0, 1, (3, 6, 1))
    choice = surely(rows(seeds), 3, on_folds=False)
    assert choice.over == "seeds"
    for arm, one in zip(seeds[:, :, 0], choice.candidates, strict=True):
        assert one.standard_error == pytest.approx(np.std(arm, ddof=1) / np.sqrt(6))
    single = surely(rows(seeds[:, :1]), 3, on_folds=False)
    assert (single.over, single.threshold, [one.std for one in single.candidates]) == (None, None, [None] * 3)
    assert [one.id for one in single.candidates if one.within] == [single.best] == [single.chosen]


def changed(measured: list[Measured], where: tuple[str, int, int], state: State) -> list[Measured]:
    arm, seed, fold = where
    return [
        Measured(one.group, one.seed, one.cell, state)
        if (one.group, one.seed, one.cell) == (arm, seed, f" fold {fold}")
        else one
        for one in measured
    ]


def test_an_arm_of_which_one_run_diverged_is_not_chosen() -> None:
    table = np.random.default_rng(7).normal(0, 1, (3, 2, 4)) - np.array([[[0.0]], [[50.0]], [[0.0]]])
    choice = surely(changed(rows(table), ("1", 1, 2), "diverged"), 3, rule="best")
    assert choice.best != "1"
    lost = choice.candidates[1]
    assert (lost.mean, lost.diverged, lost.within, lost.values) == (None, 1, False, ())
    assert choice.seeds == (0, 1)


@pytest.mark.parametrize("state", ["unfinished", "missing"])
def test_arms_are_judged_by_the_seeds_that_are_whole_in_all_of_them(state: State) -> None:
    table = np.random.default_rng(9).normal(0, 1, (3, 3, 4))
    choice = surely(changed(rows(table), ("1", 1, 2), state), 3)
    assert choice.seeds == (0, 2)
    assert choice.candidates[0].mean == pytest.approx(table[0, [0, 2]].mean())
    assert getattr(choice.candidates[1], state) == 1
    gone = changed(changed(rows(table[:, :2]), ("1", 1, 2), state), ("1", 0, 1), state)
    assert surely(gone, 3).candidates[1].mean is None, "an arm of which no seed is whole holds nobody up"
    apart = changed(changed(rows(table[:, :2]), ("1", 1, 2), state), ("0", 0, 1), state)
    assert chosen(apart, 3) is None, "no seed is whole in both"
    assert chosen([], 3) is None
