"""Query parameters of studies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Query
from pydantic import Field

from service.errors import SpecRefused
from service.http.parameters import QueryModel
from service.http.patterns import INTERVALS, PAIRS
from service.statistics.curves import Band
from service.studies.across import AcrossQuestion
from service.studies.choice import ChoiceQuery
from service.studies.learning_curves import CurveQuery
from service.studies.question import Question

Metric = Annotated[str | None, Field(description="A loss, an error or an accuracy; by default the study's.")]
At = Annotated[str | None, Field(description="best, last or epoch:N; by default the study's.")]
EpochBy = Annotated[
    str | None,
    Field(
        description="The metric whose best epoch `at=best` is; by default the study's, else val.loss, or test.loss "
        "without a validation split."
    ),
]
MAX_TARGET = 1e100
"""Targets of learning curves beyond this overflow."""


class CreateStudyQuery(QueryModel):
    """How to submit a study."""

    reuse: bool = Field(default=True, description="Take over the results of equal finished runs.")


class PreviewStudyQuery(QueryModel):
    """How to estimate a study."""

    reuse: bool = Field(default=True, description="Count equal runs that have finished as free.")


class CompareStudyQuery(QueryModel):
    """The question of a comparison."""

    metric: Metric = None
    at: At = None
    epoch_by: EpochBy = None
    baseline: str | None = Field(default=None, description="The arm that the others are compared with.")
    pairs: str = Field(default="baseline", pattern=PAIRS, description="Against the baseline, or all pairs.")
    by: list[str] = Field(default=["arm"], description="Paths of the spec to group by, or `arm`.")
    min_effect: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="The smallest difference that matters."
    )
    correction: Literal["max_t", "holm"] = Field(
        default="max_t",
        description="Correction for the number of pairs: step-down maxT flips the seeds of all pairs together; "
        "Holm uses each pair's p alone and needs more seeds.",
    )
    interval: str = Field(
        default="sign_flip",
        pattern=INTERVALS,
        description="bootstrap adds a second interval if there are at least 20 pairs.",
    )
    curves: list[str] = Field(default=[], description="Series to return with mean and band.")
    band: Band = Field(
        default="std",
        description="Of curves: `std` is the mean ± one standard deviation, within the values that the metric has; "
        "`quartiles` are the lower and upper quartile, and the curve has its `median`.",
    )

    def question(self) -> Question:
        """Return the question for the service."""
        return Question(
            metric=self.metric,
            at=self.at,
            epoch_by=self.epoch_by,
            baseline=self.baseline,
            all_pairs=self.pairs == "all",
            by=self.by,
            min_effect=self.min_effect,
            correction=self.correction,
            bootstrap=self.interval == "bootstrap",
            curves=self.curves,
            band=self.band,
        )


class ChooseArmQuery(QueryModel):
    """How to choose an arm."""

    rule: Literal["best", "one_standard_error"] = Field(
        default="best", description="The best mean, or the simplest arm within one standard error of it."
    )
    metric: Metric = None
    at: At = None
    epoch_by: str | None = Field(
        default=None,
        description="The metric whose best epoch `at=best` is; by default the study's, else the metric to choose by.",
    )
    simpler: list[str] = Field(
        default=[],
        description="A path of the spec and its simpler end: `regularizers.0.strength:desc` (larger is simpler), "
        "`model.hidden.0:asc` (smaller is simpler); later ones break ties. An arm without the path counts as less than "
        "every number. Inferred if the arms differ only in the strength of one regularizer.",
        examples=[["regularizers.0.strength:desc"]],
    )

    def choice_query(self) -> ChoiceQuery:
        """Return the choice for the service."""
        return ChoiceQuery(rule=self.rule, metric=self.metric, at=self.at, epoch_by=self.epoch_by, simpler=self.simpler)


class AcrossDatasetsQuery(QueryModel):
    """A question about all datasets of a study."""

    metric: Metric = None
    at: At = None
    epoch_by: EpochBy = None
    baseline: str | None = Field(
        default=None, description="The arm, without its dataset, that the others are compared with."
    )
    pairs: Literal["baseline", "all"] = Field(default="baseline", description="Against the baseline, or all pairs.")
    normalize: Literal["guessing", "best", "none"] | None = Field(
        default=None,
        description="Scores that can be pooled. `guessing`: 0 is what guessing gets on the dataset, 1 the best "
        "possible value (loss 0, accuracy 1). `best`: 1 is the best run of the study there. `none`: accuracies and R² "
        "themselves. By default `none` if higher values are better, else `guessing`.",
    )
    range: list[str] = Field(
        default=[],
        description="Instead of `normalize`, for one dataset: NAME:WORST:BEST, the values with scores 0 and 1.",
        examples=[["digits:2.3:0"]],
    )
    correction: Literal["max_t", "holm"] = Field(
        default="max_t", description="Correction for the number of pairs: step-down maxT, or Holm."
    )

    def question(self) -> AcrossQuestion:
        """Return the question for the service.

        Raises:
            SpecRefused: A range is not of the form NAME:WORST:BEST.
        """
        return AcrossQuestion(
            metric=self.metric,
            at=self.at,
            epoch_by=self.epoch_by,
            baseline=self.baseline,
            all_pairs=self.pairs == "all",
            normalize=self.normalize,
            ranges=_ranges(self.range),
            correction=self.correction,
        )


def _ranges(texts: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return the worst and best value of each dataset from texts NAME:WORST:BEST."""
    ranges = {}
    for text in texts:
        name, *ends = text.rsplit(":", 2)
        try:
            worst, best = map(float, ends)
        except ValueError:
            worst = best = math.nan
        if not math.isfinite(worst - best):
            message = f"Invalid range {text!r}. Give a dataset with two numbers, such as digits:2.3:0."
            raise SpecRefused.at("range", "no_range", message)
        ranges[name] = (worst, best)
    return ranges


class LearningCurveQuery(QueryModel):
    """How to fit learning curves."""

    metric: Annotated[str | None, Field(description="A metric on validation or test rows; by default the study's.")] = (
        None
    )
    at: At = None
    epoch_by: str | None = Field(
        default=None, description="The metric whose best epoch `at=best` is; by default the study's."
    )
    min_effect: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="The smallest improvement by doubling the data that matters. By default the study's `min_effect`, "
        "else 5 % of the loss (or of 1 − accuracy) at the largest size.",
    )
    target: float | None = Field(
        default=None,
        ge=-MAX_TARGET,
        le=MAX_TARGET,
        allow_inf_nan=False,
        description="A value of the metric; returns the number of rows to reach it.",
    )
    min_size: int | None = Field(
        default=None,
        ge=1,
        description="Fit only sizes from this number of rows on, if smaller ones follow another law.",
    )

    def curve_query(self) -> CurveQuery:
        """Return the request for the service."""
        return CurveQuery(**self.model_dump())


ComparisonParams = Annotated[CompareStudyQuery, Query()]
AcrossDatasetsParams = Annotated[AcrossDatasetsQuery, Query()]
ChoiceParams = Annotated[ChooseArmQuery, Query()]
LearningCurveParams = Annotated[LearningCurveQuery, Query()]
