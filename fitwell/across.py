"""Comparisons of arms over several datasets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from fitwell.comparison import NotYet
from fitwell.sync_async import View
from fitwell.tabular import Tabular

COLUMNS = ("iqm", "mean", "median", "optimality_gap", "mean_rank")


class AcrossOptions(TypedDict, total=False):
    """Options of a comparison over datasets; omitted options default to those of the study."""

    metric: str | None
    at: str | None
    epoch_by: str | None
    baseline: str | None
    pairs: str | None
    normalize: str | None
    range: Sequence[str] | None
    correction: str | None


class Estimate(View):
    """A statistic with its interval, which describes and decides nothing."""

    value: float
    ci: tuple[float, float] | None


class ScoresOfArm(View):
    """An arm on one dataset."""

    arm: str
    mean: float | None
    score: float
    diverged: int


class ScaledDataset(View):
    """A dataset, with the values of the metric that have the scores ``zero`` (0) and ``one`` (1) on it."""

    name: str
    n: int
    missing: int
    normalize: str
    zero: float
    one: float
    guessing: float | None
    arms: list[ScoresOfArm]


class Excluded(View):
    """An arm or dataset that does not count, and why."""

    name: str
    reason: str


class AcrossArm(View):
    """An arm over all datasets, each of which weighs the same."""

    arm: str
    iqm: Estimate
    mean: Estimate
    median: Estimate
    optimality_gap: Estimate
    mean_rank: float | None


class Profile(View):
    """The share of an arm's runs with a score above each threshold, with pointwise intervals."""

    arm: str
    share: list[float]
    low: list[float] | None
    high: list[float] | None


class OnTheseDatasets(View):
    """The verdict for these datasets, over replicates."""

    n: int
    missing: int
    mean_difference: float | None
    ci: tuple[float, float] | None
    test: str
    p: float | None
    p_adjusted: float | None
    p_holm: float | None
    verdict: str


class OverDatasets(View):
    """The verdict beyond these datasets, if they are a sample."""

    n: int
    wins: int
    losses: int
    test: str
    p: float | None
    p_adjusted: float | None
    p_holm: float | None
    verdict: str


class AcrossPair(View):
    """An arm against a baseline over all datasets."""

    arm: str
    baseline: str
    probability_of_improvement: Estimate
    on_these_datasets: OnTheseDatasets
    over_datasets: OverDatasets


class Friedman(View):
    """The Friedman test with Iman and Davenport's correction."""

    chi_square: float
    f: float | None
    freedom: tuple[int, int]
    p: float


class Ranks(View):
    """Groups of arms that do not differ significantly over datasets, and Nemenyi's critical difference."""

    critical_difference: float
    groups: list[list[str]] | None
    friedman: Friedman | None


class AcrossDatasets(Tabular):
    """A study's arms over all its datasets. Notebooks display it as a table.

    Verdicts are ``better``, ``worse``, ``undecided``, or ``not_yet`` until all planned runs have ended.
    """

    study_id: str
    metric: str
    at: str
    direction: str
    epoch_by: str | None
    exploratory: bool
    optimistic: bool
    complete: bool
    generalizes_over: Sequence[str]
    baseline: str | None
    correction: str
    alpha: float
    min_datasets_possible: int
    looks: int
    not_yet: NotYet | None
    arms: list[AcrossArm]
    datasets: list[ScaledDataset]
    excluded_arms: list[Excluded]
    excluded_datasets: list[Excluded]
    thresholds: list[float]
    profiles: list[Profile]
    pairs: list[AcrossPair]
    ranks: Ranks | None

    def columns(self) -> dict[str, list[Any]]:
        """Return a row per arm as columns: the aggregates with their intervals, and the mean rank."""
        columns: dict[str, list[Any]] = {"arm": [arm.arm for arm in self.arms]}
        for name in COLUMNS[:-1]:
            estimates: list[Estimate] = [getattr(arm, name) for arm in self.arms]
            columns[name] = [one.value for one in estimates]
            columns[f"{name}_low"] = [None if one.ci is None else one.ci[0] for one in estimates]
            columns[f"{name}_high"] = [None if one.ci is None else one.ci[1] for one in estimates]
        return columns | {"mean_rank": [arm.mean_rank for arm in self.arms]}

    def _caption(self) -> str:
        caption = f"scores of {self.at} {self.metric} over {len(self.datasets)} datasets"
        return caption + (f"; no verdict yet: {self.not_yet.message}" if self.not_yet else "")

    def _displayed(self) -> dict[str, list[Any]]:
        columns = self.columns()
        return {name: columns[name] for name in ("arm", *COLUMNS)}
