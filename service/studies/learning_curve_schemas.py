"""Learning curves of a study as clients see them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from service.statistics import learning_curve as fitting
from service.statistics.power_law import LawKind
from service.studies.comparison_schemas import NotYetView
from service.studies.learning_curves import GroupCurve, LearningCurves, SizeSummary

MEAN_CI = "Interval of the mean over replicates, not of a single run."


class SizeView(BaseModel):
    """The metric at one size, over all replicates that are measured there."""

    rows: int = Field(description="Number of training rows.")
    n: int
    mean: float | None
    std: float | None
    ci: tuple[float, float] | None = Field(
        description="Interval from inverting the sign-flip test; null below six replicates."
    )
    used: bool = Field(description="Whether the size is part of the fit; not if it is below `min_size`.")
    diverged: int
    unfinished: int
    missing: int
    last_epochs: int = Field(description="Runs whose best epoch is their last; longer training may improve them.")

    @classmethod
    def of(cls, size: SizeSummary) -> SizeView:
        """Return the view of a size."""
        names = ("n", "mean", "std", "diverged", "unfinished", "missing")
        return cls(
            **{name: getattr(size.summary, name) for name in names},
            rows=size.rows,
            ci=size.summary.interval,
            used=size.used,
            last_epochs=size.last_epochs,
        )


class LawPredictionView(BaseModel):
    """The mean that a law predicts at a multiple of the largest size."""

    factor: float
    rows: int
    value: float
    ci: tuple[float, float] | None = Field(description=f"{MEAN_CI} Null for alternative laws.")


class LawView(BaseModel):
    """A law of the mean by the number n of training rows.

    `power` is asymptote + coefficient·n^(−exponent), `exponential` is asymptote + coefficient·exp(−exponent·n), and
    `constant` is the asymptote. The coefficient is negative if higher values are better.
    """

    kind: LawKind
    asymptote: float
    coefficient: float
    exponent: float
    fitted: list[float] = Field(description="Values at the sizes that are used.")
    residual_ratio: float | None = Field(
        description="Root mean square of the residuals in standard errors of the means, per degree of freedom; about "
        "1 or less if only the noise of replicates is left."
    )
    predictions: list[LawPredictionView] = Field(description="At 2 and 4 times the largest size; empty if no law fits.")

    @classmethod
    def of(cls, law: fitting.FittedLaw) -> LawView:
        """Return the view of a law."""
        names = ("kind", "asymptote", "coefficient", "exponent", "residual_ratio")
        predictions = [LawPredictionView(**vars(one)) for one in law.predictions]
        return cls(**{name: getattr(law, name) for name in names}, fitted=list(law.fitted), predictions=predictions)


class GainView(BaseModel):
    """The improvement of the mean by doubling the largest size; positive if the metric gets better."""

    value: float
    ci: tuple[float, float]
    min_effect: float = Field(description="The smallest improvement that matters.")


class RowsNeededView(BaseModel):
    """The number of rows at which the law reaches the requested value; nothing is claimed beyond `max_rows`."""

    target: float
    rows: int | None = Field(description="Null if it lies beyond `max_rows`, or the law never reaches the value.")
    low: int | None = Field(description="Lower end of the interval; null if more than `max_rows` are needed.")
    high: int | None = Field(description="Upper end of the interval; null if it lies beyond `max_rows`.")
    max_rows: int = Field(description="Eight times the largest size.")


class LawCurveView(BaseModel):
    """Points of the fitted law, from the smallest size to four times the largest."""

    rows: list[int]
    value: list[float]


class GroupCurveView(BaseModel):
    """The learning curve of the arms that differ only in dataset.train_size."""

    id: str
    verdict: fitting.Verdict = Field(
        description="Whether doubling the data improves the mean by more than `min_effect` (`more_data_helps`), by "
        "less (`saturated`), or either is possible (`undecided`). `not_yet`: nothing was tested."
    )
    explanation: str
    warnings: list[str]
    n: int = Field(description="Replicates that are measured at every size; only these are fitted.")
    sizes: list[SizeView]
    law: LawView | None = Field(description="The power law; null if nothing was fitted.")
    asymptote_ci: tuple[float, float] | None
    gain: GainView | None
    p_misfit: float | None = Field(
        description="p that the means follow the law, corrected for the number of sizes; at most alpha/2 refutes it."
    )
    rise: tuple[int, int] | None = Field(description="Sizes between which the mean gets significantly worse.")
    alternatives: list[LawView] = Field(description="Other laws, fitted to the same means.")
    rows_needed: RowsNeededView | None = Field(description="Only with `target`, and if the law fits.")
    curve: LawCurveView | None = Field(description="Null if no law fits.")

    @classmethod
    def of(cls, group: GroupCurve) -> GroupCurveView:
        """Return the view of a group's learning curve."""
        curve = group.curve
        gain = None
        if curve.gain is not None and curve.gain_ci is not None and curve.min_effect is not None:
            gain = GainView(value=curve.gain, ci=curve.gain_ci, min_effect=curve.min_effect)
        needed = curve.rows_needed
        return cls(
            id=group.id,
            verdict=curve.verdict,
            explanation=curve.reason,
            warnings=list(group.warnings),
            n=curve.replicates,
            sizes=[SizeView.of(size) for size in group.sizes],
            law=None if curve.law is None else LawView.of(curve.law),
            asymptote_ci=curve.asymptote_ci,
            gain=gain,
            p_misfit=curve.p_misfit,
            rise=curve.rise,
            alternatives=[LawView.of(law) for law in curve.alternatives],
            rows_needed=None if needed is None else RowsNeededView(**vars(needed)),
            curve=LawCurveView(rows=[n for n, _ in curve.curve], value=[v for _, v in curve.curve])
            if curve.curve
            else None,
        )


class LearningCurvesView(BaseModel):
    """Learning curves of a study over dataset.train_size. Each group is tested at `alpha` by itself."""

    object: Literal["learning_curves"] = "learning_curves"
    study_id: str
    metric: str
    at: str
    epoch_by: str | None = Field(description="The metric whose best epoch counts; null if `at` is not best.")
    direction: Literal["lower_is_better", "higher_is_better"]
    exploratory: bool = Field(description="Whether metric, epoch or sizes differ from those of the study.")
    optimistic: bool = Field(description="Whether epochs were chosen on the rows that judge, or on the test set.")
    complete: bool = Field(description="Whether every run has finished.")
    alpha: float = Field(description="Level of the verdicts; intervals cover at about 1 − alpha if the law holds.")
    looks: int
    not_yet: NotYetView | None = Field(description="Why no verdict is given; null if there is one.")
    generalizes_over: list[str] = Field(description="What replicates differ in: seed, split, data.")
    groups: list[GroupCurveView]

    @classmethod
    def of(cls, curves: LearningCurves) -> LearningCurvesView:
        """Return the view of a study's learning curves."""
        names = ("study_id", "metric", "at", "epoch_by", "exploratory", "optimistic", "complete", "alpha", "looks")
        return cls(
            **{name: getattr(curves, name) for name in names},
            direction="lower_is_better" if curves.lower_is_better else "higher_is_better",
            not_yet=None if curves.not_yet is None else NotYetView.of(curves.not_yet),
            generalizes_over=list(curves.generalizes_over),
            groups=[GroupCurveView.of(group) for group in curves.groups],
        )
