"""Comparisons as clients see them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from service.statistics import comparison as comparing
from service.statistics import curves
from service.statistics.pairing import Test
from service.statistics.resampling import VarianceComponents
from service.statistics.summaries import Summary
from service.studies.comparison import Compared
from service.studies.looks import NotYet, NotYetCode
from service.studies.sequential_schemas import CourseView, SequentialView

VARIANCE = "Shares of variance; null unless `replicates` trains every split with several seeds."


class FoldsView(BaseModel):
    """The folds over which a seed's value is the mean."""

    n: int
    sd_within: float | None = Field(description="Standard deviation of the folds within a seed, pooled over seeds.")


class VarianceView(BaseModel):
    """Where the variance of single runs comes from: the split, the seed, or neither alone. Shares add up to 1."""

    total: float = Field(description="Variance of a single run's value.")
    split: float = Field(description="Share of the split.")
    seed: float = Field(description="Share of the seed.")
    residual: float = Field(description="Share that neither explains alone.")

    @classmethod
    def of(cls, components: VarianceComponents | None) -> VarianceView | None:
        """Return the view of variance components."""
        if components is None:
            return None
        shares = {name: getattr(components, name) / components.total for name in ("split", "seed", "residual")}
        return cls(total=components.total, **shares)


class SeedValue(BaseModel):
    """The value at one seed: the mean over its folds."""

    seed: int = Field(description="The seed; the split if each has several seeds.")
    value: float


class GroupView(BaseModel):
    """Statistics of a group over its seeds."""

    id: str
    n: int = Field(description="Seeds with measurements of all runs on every fold.")
    mean: float | None
    std: float | None
    ci: tuple[float, float] | None = Field(
        description="Interval from inverting the sign-flip test; null below six seeds."
    )
    diverged: int
    unfinished: int
    missing: int = Field(description="Seeds with a run that failed, was cancelled or deleted, or has no value.")
    folds: FoldsView | None = Field(description="Spread over folds: exploratory, no test uses it.")
    variance: VarianceView | None = Field(default=None, description=VARIANCE)
    guessing: float | None = Field(
        default=None,
        description="Mean of the metric for predictions that ignore the inputs; null if no run recorded it.",
    )
    values: list[SeedValue] = Field(default=[], description="The `n` values whose mean is `mean`, by seed.")
    within_one_standard_error: bool | None = Field(
        default=None, description="Whether the arm is as good as `best`, within one standard error; null without it."
    )

    @classmethod
    def of(cls, group: Summary, compared: Compared) -> GroupView:
        """Return the view of a group."""
        names = ("id", "n", "mean", "std", "diverged", "unfinished", "missing")
        folds, best = compared.folds, compared.best
        return cls(
            **{name: getattr(group, name) for name in names},
            ci=group.interval,
            folds=None if folds is None else FoldsView(n=folds, sd_within=group.std_within),
            variance=VarianceView.of(compared.variances.get((group.id,))),
            guessing=compared.guessing.get(group.id),
            values=[SeedValue(seed=seed, value=group.values[seed]) for seed in sorted(group.values)],
            within_one_standard_error=None if best is None else group.id in best.within,
        )


class Difference(BaseModel):
    """The difference at one seed."""

    seed: int = Field(description="The seed; the split if each has several seeds.")
    difference: float


class PairView(BaseModel):
    """A group compared with another seed by seed; differences are the group's value minus the baseline's."""

    arm: str
    baseline: str
    n: int = Field(description="Seeds at which both were measured; means and intervals cover these.")
    mean_difference: float | None
    std: float | None
    ci: tuple[float, float] | None = Field(description="Interval of the mean difference; null below six pairs.")
    ci_method: Literal["inverted sign-flip test, unadjusted", "repeated confidence interval, unadjusted"] = (
        "inverted sign-flip test, unadjusted"
    )
    bootstrap_ci: tuple[float, float] | None = Field(description="BCa interval; on request, from 20 pairs on.")
    test: Test = Field(description="`sign` and `sequential_sign` if a run diverged, which counts as a loss.")
    wins: int
    losses: int
    diverged: int = Field(description="Seeds at which this arm diverged and the baseline did not.")
    baseline_diverged: int
    missing: int = Field(
        description="Seeds without a pair: a run failed, was cancelled or deleted, or has no value. "
        "Dropping pairs after seeing their results makes p too small."
    )
    p: float | None
    p_adjusted: float | None = Field(description="p corrected for the pairs of this response by `correction`.")
    p_holm: float | None = Field(default=None, description="p with Holm's correction.")
    p_nadeau_bengio: float | None = Field(
        default=None,
        description="p of the corrected resampled t test (Nadeau and Bengio 2003), not corrected for several pairs: "
        "conservative, because it allows for rows that splits share. Null unless splits vary and choose the rows that "
        "judge (`val.*`), and if a run diverged.",
    )
    variance: VarianceView | None = Field(default=None, description=f"Of the differences. {VARIANCE}")
    p_equivalence: float | None = Field(description="Two one-sided tests with Holm correction; only with `min_effect`.")
    verdict: comparing.Verdict = Field(description="`not_yet`: nothing was tested; `not_yet` of the response says why.")
    seeds_for_power: int | None = Field(description="Seeds needed to detect `min_effect` with probability 0.8.")
    seeds_needed: int | None = Field(description="Seeds to add for that power.")
    sequential: SequentialView | None = Field(
        default=None, description="The looks in a sequential study, which decide instead of p; null before the first."
    )
    differences: list[Difference]

    @classmethod
    def of(cls, pair: comparing.Pair, compared: Compared) -> PairView:
        """Return the view of a pair."""
        key = (pair.group, pair.baseline)
        names = (
            "baseline", "std", "test", "wins", "losses", "diverged", "baseline_diverged", "missing", "p", "p_adjusted",
            "p_holm", "p_equivalence", "verdict", "seeds_for_power",
        )  # fmt: skip
        n, power = len(pair.seeds), pair.seeds_for_power
        return cls(
            **{name: getattr(pair, name) for name in names},
            arm=pair.group,
            n=n,
            mean_difference=pair.mean,
            ci=pair.interval,
            bootstrap_ci=pair.bootstrap,
            p_nadeau_bengio=compared.corrected.get(key),
            variance=VarianceView.of(compared.variances.get(key)),
            ci_method="repeated confidence interval, unadjusted"
            if pair.sequential
            else "inverted sign-flip test, unadjusted",
            sequential=None if pair.sequential is None else SequentialView.of(pair.sequential),
            seeds_needed=None if power is None else max(0, power - n),
            differences=[
                Difference(seed=seed, difference=value)
                for seed, value in zip(pair.seeds, pair.differences, strict=True)
            ],
        )


class CurveView(BaseModel):
    """A group's mean and band over its seeds, epoch by epoch.

    Seeds with a run that failed, diverged or was cancelled do not count, unless every seed has one.
    """

    arm: str
    epoch: list[int]
    n: list[int]
    carried: list[int] = Field(
        default=[], description="Seeds among the `n` that had ended by then and count with their last value."
    )
    mean: list[float | None]
    low: list[float | None] = Field(
        description="One standard deviation below the mean, if the metric can be so low; with `band=quartiles` the "
        "lower quartile."
    )
    high: list[float | None]
    median: list[float | None] | None = Field(
        default=None, exclude_if=lambda values: values is None, description="With `band=quartiles` only."
    )

    @classmethod
    def of(cls, curve: curves.Curve) -> CurveView:
        """Return the view of a curve."""
        names = ("epoch", "n", "carried", "mean", "low", "high", "median")
        return cls(arm=curve.group, **{name: getattr(curve, name) for name in names})


class NotYetView(BaseModel):
    """Why a study's look is not due, and what would make it due."""

    code: NotYetCode
    message: str = Field(examples=["12 of 32 runs have not ended."])
    planned: int = Field(description="Runs that the look compares.")
    ended: int = Field(description="Those that succeeded or failed.")

    @classmethod
    def of(cls, pending: NotYet) -> NotYetView:
        """Return the view of a look that is not due."""
        return cls(code=pending.code, message=pending.message, planned=pending.planned, ended=pending.ended)


class ComparisonView(BaseModel):
    """Which arm is better, and how certain that is."""

    object: Literal["comparison"] = "comparison"
    study_id: str
    metric: str
    at: str
    direction: Literal["lower_is_better", "higher_is_better"]
    exploratory: bool = Field(description="Whether this differs from the study's own question.")
    epoch_by: str | None = Field(
        default=None, description="The metric whose best epoch counts; null if `at` is not best."
    )
    optimistic: bool = Field(
        description="Whether epochs were chosen on the rows that `metric` is measured on, or on the test set."
    )
    complete: bool = Field(description="Whether every run has finished.")
    generalizes_over: list[Literal["seed", "split", "data"]] = Field(
        default=["seed"],
        description="Sources of variation that replicates differ in. Verdicts hold for what does not vary: without "
        "`split`, for this split of the data. `data`: every seed has generated data of its own.",
    )
    by: list[str]
    baseline: str | None = Field(description="Null if all pairs are compared.")
    alpha: float = Field(description="The significance level of this look: the study's divided by the number of looks.")
    looks: int
    looks_from: list[str] = Field(
        default=[], description="Earlier studies with some of the same runs, whose looks count."
    )
    not_yet: NotYetView | None = Field(default=None, description="Why no verdict is given; null if the look is due.")
    sequential: CourseView | None = Field(default=None, description="Null if the seeds are fixed.")
    correction: Literal["max_t", "holm"] = Field(
        default="max_t", description="How `p_adjusted` is corrected for the number of pairs."
    )
    comparisons: int
    min_seeds_possible: int
    best: str | None = Field(
        default=None,
        description="The arm with the best mean, as `choice` with `rule=best` has it; null while runs are unfinished, "
        "over several datasets, and for other groups than arms. On test rows it describes, and must not choose.",
    )
    arms: list[GroupView]
    pairs: list[PairView]
    curves: dict[str, list[CurveView]] = Field(description="Requested curves by series.")

    def differing_by_holm(self) -> list[str]:
        """Return the arms of the pairs that are significant by only one of this correction and Holm's."""
        return [
            pair.arm
            for pair in self.pairs
            if pair.p_adjusted is not None
            and pair.p_holm is not None
            and (pair.p_adjusted <= self.alpha) != (pair.p_holm <= self.alpha)
        ]

    @classmethod
    def of(cls, compared: Compared) -> ComparisonView:
        """Return the view of a comparison."""
        names = ("study_id", "metric", "at", "epoch_by", "exploratory", "optimistic", "complete", "baseline", "looks")
        return cls(
            **{name: getattr(compared, name) for name in names},
            looks_from=list(compared.looks_from),
            sequential=None if compared.course is None else CourseView.of(compared.course),
            not_yet=None if compared.not_yet is None else NotYetView.of(compared.not_yet),
            direction="lower_is_better" if compared.lower_is_better else "higher_is_better",
            generalizes_over=list(compared.generalizes_over),
            by=list(compared.by),
            alpha=compared.comparison.alpha,
            correction=compared.comparison.correction,
            best=None if compared.best is None else compared.best.best,
            comparisons=len(compared.comparison.pairs),
            min_seeds_possible=compared.comparison.min_seeds,
            arms=[GroupView.of(group, compared) for group in compared.comparison.groups],
            pairs=[PairView.of(pair, compared) for pair in compared.comparison.pairs],
            curves={
                name: [CurveView.of(one) for one in group_curves] for name, group_curves in compared.curves.items()
            },
        )
