"""Comparisons and diagnoses of arms, and the choice of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from pydantic import Field

from fitwell.sync_async import View
from fitwell.tabular import Tabular


class ComparisonOptions(TypedDict, total=False):
    """Options of a comparison; omitted options default to those of the study."""

    metric: str | None
    at: str | None
    epoch_by: str | None
    baseline: str | None
    pairs: str | None
    by: Sequence[str] | None
    min_effect: float | None
    correction: str | None
    interval: str | None
    curves: Sequence[str] | None
    band: str | None


class Variance(View):
    """The variance of single runs, and the shares of it that come from the split, the seed, or neither alone."""

    total: float
    split: float
    seed: float
    residual: float


class SeedValue(View):
    """The value of an arm at one seed; that of a split if each has several seeds."""

    seed: int
    value: float


class Group(View):
    """Statistics of an arm over its seeds, whose values are ``values``."""

    id: str
    n: int
    mean: float | None
    std: float | None
    ci: tuple[float, float] | None
    diverged: int
    unfinished: int = 0
    missing: int = 0
    variance: Variance | None = None
    guessing: float | None = None
    values: list[SeedValue] = Field(default=[])
    within_one_standard_error: bool | None = None


class Look(View):
    """A pair at one look of a sequential study; it is decided if its statistic is above the critical value."""

    seeds: int
    statistic: float
    critical_value: float | None
    p: float
    nominal_p: float
    alpha_spendable: float
    alpha_spent: float


class SequentialPair(View):
    """A pair in a sequential study, whose ``ci`` is a repeated confidence interval."""

    decided_at: int | None
    seeds: int
    mean: float | None
    mean_biased: bool
    looks: list[Look]


class StudyLook(View):
    """A look of a sequential study, and the arms that it decided."""

    seeds: int
    alpha_spendable: float
    decided: list[str]
    taken_at: str


class Course(View):
    """How far a sequential study has come.

    ``ended`` is ``decided``, ``max_reached`` or ``stopped``, and None while the study continues.
    """

    max: int
    first: int
    step: int
    start: int
    vary: list[str]
    decisive_from: int | None
    looks: list[StudyLook]
    next_look: int | None
    ended: str | None
    stop_reason: str | None


class Pair(View):
    """The comparison of an arm with another, paired by seed."""

    arm: str
    baseline: str
    n: int
    mean_difference: float | None
    std: float | None
    ci: tuple[float, float] | None
    missing: int = 0
    p: float | None
    p_adjusted: float | None
    p_holm: float | None = None
    p_nadeau_bengio: float | None = None
    variance: Variance | None = None
    verdict: str
    seeds_needed: int | None
    sequential: SequentialPair | None = None


COLUMNS = ("mean", "std", "n", "diverged", "mean_difference", "ci_low", "ci_high", "p", "p_adjusted", "verdict")


class NotYet(View):
    """The reason why no verdict is given, and what would change that.

    ``code`` is ``runs_unfinished``, ``runs_cancelled``, ``runs_deleted``, ``seeds_left_out`` or ``look_pending``; later
    versions may add others.
    """

    code: str
    message: str
    planned: int
    ended: int


class Comparison(Tabular):
    """A comparison of arms with a verdict on each, possibly ``undecided``. Notebooks display it as a table.

    Verdicts are ``not_yet`` until all planned runs have ended; ``not_yet`` then says why.
    """

    study_id: str
    metric: str
    at: str
    epoch_by: str | None = None
    direction: str
    exploratory: bool
    optimistic: bool = False
    complete: bool
    generalizes_over: Sequence[str] = ("seed",)
    baseline: str | None
    alpha: float
    looks: int
    looks_from: list[str] = Field(default=[])
    not_yet: NotYet | None = None
    sequential: Course | None = None
    correction: str = "holm"
    min_seeds_possible: int
    best: str | None = None
    arms: list[Group]
    pairs: list[Pair]
    curves: dict[str, list[dict[str, Any]]]

    def against(self, baseline: str) -> dict[str, Pair]:
        """Return the pairs that compare an arm with ``baseline``, by arm."""
        return {pair.arm: pair for pair in self.pairs if pair.baseline == baseline}

    @property
    def baseline_label(self) -> str | None:
        """The name of the baseline, or a description if each dataset has its own; None if all pairs are compared."""
        if self.baseline is None or len({pair.baseline for pair in self.pairs}) <= 1:
            return self.baseline
        return "the baseline on the same dataset"

    @property
    def pair_of_each_arm(self) -> dict[str, Pair]:
        """The pair of each arm with its baseline, by arm; empty if all pairs are compared.

        In a study on several datasets, an arm's baseline is the one on the arm's dataset.
        """
        return {} if self.baseline is None else {pair.arm: pair for pair in self.pairs}

    @property
    def unit(self) -> str:
        """The unit that arms are paired by: ``seed``, ``split``, or ``replicate`` if both vary."""
        return "replicate" if {"seed", "split"} <= set(self.generalizes_over) else self.generalizes_over[0]

    @property
    def replicates(self) -> str:
        """The replicates that a verdict holds for, such as "seeds, on this split"."""
        over = set(self.generalizes_over)
        if over == {"seed", "split"}:
            return "replicates of seed and split"
        if "data" in over:
            return "seeds, each with data of its own"
        return "splits" if "split" in over else "seeds, on this split"

    @property
    def holm_differences(self) -> list[Pair]:
        """The pairs that are significant by the correction in use and not by Holm's, or the reverse."""
        return [
            pair
            for pair in self.pairs
            if pair.p_adjusted is not None
            and pair.p_holm is not None
            and (pair.p_adjusted <= self.alpha) != (pair.p_holm <= self.alpha)
        ]

    def columns(self) -> dict[str, list[Any]]:
        """Return a row per arm as columns: statistics, and the comparison with the baseline if there is one."""
        pairs = self.pair_of_each_arm
        rows = [_row(group, pairs.get(group.id)) for group in self.arms]
        return {name: [row[name] for row in rows] for name in ("arm", *COLUMNS)}

    def _caption(self) -> str:
        against = self.baseline_label or "each other"
        caption = f"{self.at} {self.metric}, {self.direction.replace('_', ' ')}, against {against}"
        caption += f"; over {self.replicates}"
        caption += f"; epochs chosen by {self.epoch_by}" * bool(self.epoch_by) + "; optimistic" * self.optimistic
        caption += "; exploratory" * self.exploratory
        caption += f"; look {self.looks} at α = {self.alpha:.3g}"
        return caption + (f"; no verdict yet: {self.not_yet.message}" if self.not_yet else "")


def _row(group: Group, pair: Pair | None) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {"arm": group.id, "mean": group.mean, "std": group.std, "n": group.n, "diverged": group.diverged}
    if pair is not None:
        row |= {name: getattr(pair, name) for name in ("mean_difference", "p", "p_adjusted", "verdict")}
        row |= dict(zip(("ci_low", "ci_high"), pair.ci or (None, None), strict=True))
    return row


class Candidate(View):
    """An arm with its mean over folds or seeds; the statistics are None if the arm cannot be chosen."""

    arm: str
    mean: float | None
    std: float | None
    standard_error: float | None
    within_one_standard_error: bool
    diverged: int
    unfinished: int


class ArmDiagnosis(View):
    """The verdict on an arm over its seeds; verdicts are those of a run's diagnosis."""

    arm: str
    verdict: str
    explanation: str
    n: int
    diverged: int = 0
    unfinished: int = 0
    epochs: int
    best_epoch: int | None
    lowest: float | None
    end: float | None
    regret: float | None
    ci: tuple[float, float] | None
    p: float | None
    p_fall: float | None
    regrets: list[float]
    guessing: float | None = None


class StudyDiagnosis(View):
    """The diagnoses of a study's arms, each from the loss curves of all its seeds."""

    study_id: str
    train_metric: str | None
    metric: str | None
    optimistic: bool
    complete: bool
    alpha: float
    arms: list[ArmDiagnosis]


class Choice(View):
    """The chosen arm and its spec, for ``client.runs.create(**choice.chosen_spec)``."""

    study_id: str
    rule: str
    metric: str
    at: str
    epoch_by: str | None = None
    optimistic: bool
    complete: bool
    folds: int | None
    best: str
    chosen: str
    threshold: float | None
    within_one_standard_error: int
    explanation: str
    arms: list[Candidate]
    chosen_spec: dict[str, Any]
