"""Learning curves of a study over the number of training rows."""

from __future__ import annotations

from typing import Any, TypedDict

from fitwell.comparison import NotYet
from fitwell.sync_async import View
from fitwell.tabular import Tabular

COLUMNS = ("group", "rows", "n", "mean", "std", "ci_low", "ci_high", "predicted")


class LearningCurveOptions(TypedDict, total=False):
    """Options of learning curves; omitted options default to those of the study."""

    metric: str | None
    at: str | None
    epoch_by: str | None
    min_effect: float | None
    target: float | None
    min_size: int | None


class SizeOfCurve(View):
    """The metric at one size, over all replicates that are measured there."""

    rows: int
    n: int
    mean: float | None
    std: float | None
    ci: tuple[float, float] | None
    used: bool
    diverged: int = 0
    unfinished: int = 0
    missing: int = 0
    last_epochs: int = 0


class LawPrediction(View):
    """The mean that a law predicts at a multiple of the largest size, with an interval of the mean."""

    factor: float
    rows: int
    value: float
    ci: tuple[float, float] | None


class FittedLaw(View):
    """A law of the mean by the number n of training rows.

    ``power`` is asymptote + coefficient·n^(−exponent), ``exponential`` is asymptote + coefficient·exp(−exponent·n), and
    ``constant`` is the asymptote.
    """

    kind: str
    asymptote: float
    coefficient: float
    exponent: float
    fitted: list[float]
    residual_ratio: float | None
    predictions: list[LawPrediction]


class Gain(View):
    """The improvement of the mean by doubling the largest size."""

    value: float
    ci: tuple[float, float]
    min_effect: float


class RowsNeeded(View):
    """The number of rows at which the law reaches the target; None beyond ``max_rows``."""

    target: float
    rows: int | None
    low: int | None
    high: int | None
    max_rows: int


class LearningCurve(View):
    """The learning curve of a group of arms that differ only in dataset.train_size.

    The verdict is ``more_data_helps``, ``saturated``, ``undecided`` or ``not_yet``.
    """

    id: str
    verdict: str
    explanation: str
    warnings: list[str]
    n: int
    sizes: list[SizeOfCurve]
    law: FittedLaw | None
    asymptote_ci: tuple[float, float] | None
    gain: Gain | None
    p_misfit: float | None
    rise: tuple[int, int] | None
    alternatives: list[FittedLaw]
    rows_needed: RowsNeeded | None

    @property
    def predictions(self) -> list[LawPrediction]:
        """The predictions of the power law; empty if it does not fit."""
        return [] if self.law is None else self.law.predictions


class LearningCurves(Tabular):
    """The learning curves of a study, one for each group. Notebooks display them as a table."""

    study_id: str
    metric: str
    at: str
    epoch_by: str | None
    direction: str
    exploratory: bool
    optimistic: bool
    complete: bool
    alpha: float
    looks: int
    not_yet: NotYet | None
    generalizes_over: list[str]
    groups: list[LearningCurve]

    def columns(self) -> dict[str, list[Any]]:
        """Return a row for each measured and each predicted size as columns."""
        rows = [row for group in self.groups for row in _rows(group)]
        return {name: [row[name] for row in rows] for name in COLUMNS}

    def _caption(self) -> str:
        verdicts = "; ".join(f"{group.id}: {group.verdict}. {group.explanation}" for group in self.groups)
        return f"{self.at} {self.metric} by the number of training rows. {verdicts}"


def _rows(group: LearningCurve) -> list[dict[str, Any]]:
    measured: list[dict[str, Any]] = [
        {"rows": size.rows, "n": size.n, "mean": size.mean, "std": size.std, "ci": size.ci, "predicted": False}
        for size in group.sizes
    ]
    predicted: list[dict[str, Any]] = [
        {"rows": one.rows, "n": None, "mean": one.value, "std": None, "ci": one.ci, "predicted": True}
        for one in group.predictions
    ]
    return [
        {**row, "group": group.id, **dict(zip(("ci_low", "ci_high"), row["ci"] or (None, None), strict=True))}
        for row in measured + predicted
    ]
