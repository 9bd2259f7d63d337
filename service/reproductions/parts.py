"""A rule on the bias or the variance of arms, which are parts of their test loss."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, model_validator

from service.bias_variance.service import ArmBiasVariance, StudyBiasVariance
from service.reproductions.judgment import Judgment
from service.reproductions.rule import OrderRule
from service.runs.saved_weights import At
from service.statistics.comparison import compare
from service.statistics.pairing import Measurement
from service.studies.comparison import Compared
from service.studies.question import Question


class PartOrder(OrderRule):
    """Bias or variance grows from arm to arm, as far as each neighboring pair shows.

    Each run has a pseudo-value of the jackknife: R times the estimate of all R runs of its arm, minus R − 1 times that
    of the others. Their mean estimates the part, and arms are paired by them as by a metric.

    Reference: Tukey, 1958, "Bias and confidence in not quite large samples".
    """

    kind: Literal["part_order"] = "part_order"
    part: Literal["bias", "variance"] = Field(description="The part of the mean test loss.")
    loss: Literal["brier", "squared_error", "cross_entropy"] = Field(
        default="brier", description="The loss that is split."
    )

    @model_validator(mode="after")
    def _of_saved_models(self) -> Self:
        if self.metric is not None:
            raise ValueError("The parts are those of a loss; leave the metric out.")
        if self.at not in (None, "best", "last"):
            raise ValueError("Models are saved at the epochs best and last.")
        return self

    @property
    def name(self) -> str:
        """The part of the loss in words."""
        squared = "squared " if self.part == "bias" and self.loss != "cross_entropy" else ""
        return f"{squared}{self.part} of test.{self.loss}"

    @property
    def sentence(self) -> str:
        """The rule in words."""
        listed = " < ".join(f"'{arm}'" for arm in self.arms)
        return (
            f"Reproduced if the {self.name} is significantly lower for each arm than for the next one in {listed}, by "
            "the jackknife's pseudo-values of runs, paired by seed and corrected for these pairs; not reproduced if a "
            "pair differs significantly in the other direction; otherwise undecided."
        )

    def question(self) -> Question:
        """Return the study's comparison, whose level and looks apply."""
        return Question(at=self.at)

    def epoch(self, compared: Compared) -> At:
        """Return the epoch of the models."""
        return "best" if compared.at == "best" else "last"

    def compared_by_part(self, compared: Compared, parts: StudyBiasVariance) -> Compared:
        """Return the comparison of the arms by the part instead of the metric."""
        comparison = compare(
            [one for arm in self.arms for one in self._measurements(arm, parts.arms[arm])],
            groups=self.arms,
            baseline=None,
            pairs=list(pairwise(self.arms)),
            lower_is_better=True,
            alpha=compared.comparison.alpha,
            due=compared.not_yet is None,
        )
        return replace(compared, metric=self.name, at=parts.at, lower_is_better=True, comparison=comparison)

    def judge_parts(self, compared: Compared, parts: StudyBiasVariance) -> Judgment:
        """Return the verdict on a comparison by the part; undecided if runs diverged, which have no predictions."""
        judgment = self.judge_compared(compared)
        diverged = sum(parts.arms[arm].runs.diverged for arm in self.arms)
        if not diverged or judgment.verdict == "pending":
            return judgment
        note = f"Diverged runs, which have no predictions: {diverged}."
        return Judgment("undecided", judgment.figures, [*judgment.notes, note])

    def _measurements(self, name: str, arm: ArmBiasVariance) -> list[Measurement]:
        """Return the pseudo-values of an arm's runs; empty for two runs, or without such a loss."""
        parts = arm.losses.get(self.loss)
        values = () if parts is None else getattr(parts, f"{self.part}_values")
        return [
            Measurement(name, seed, cell, "measured", value)
            for (seed, cell), value in zip(arm.places, values, strict=False)
        ]
