"""Rules of claims: what a comparison must show for a claim to be reproduced. Pure functions of the comparison.

A rule names a study, arms and a metric, and is fixed in the file of its reproduction before any run. Its verdict
follows from the comparison's own verdicts and intervals, so it is as strict as they are.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.reproductions.crossings import Delay, Sooner
from service.reproductions.judgment import Judgment, Measured, Verdict
from service.reproductions.parts import PartOrder
from service.reproductions.peaks import Peak
from service.reproductions.rule import ArmRule, OrderRule, PairRule, Side, directed, opposite
from service.reproductions.splits import Flips, LargerShare
from service.statistics.comparison import Comparison
from service.statistics.comparison import Verdict as PairVerdict
from service.studies.question import Question


class Direction(PairRule):
    """An arm's metric is lower (or higher) than another arm's, by the comparison's verdict."""

    kind: Literal["direction"] = "direction"
    direction: Side = Field(default="lower", description="Whether the arm's metric is claimed to be lower or higher.")
    min_effect: float | None = Field(
        default=None, gt=0, description="A smaller difference counts as none; null for the study's."
    )

    @property
    def sentence(self) -> str:
        """The rule in words."""
        margin = "" if self.min_effect is None else f" within {self.min_effect:g}"
        return (
            f"Reproduced if {self.measured} is significantly {self.direction} for '{self.arm}' than for "
            f"'{self.against}', paired by seed; not reproduced if it is significantly "
            f"{opposite(self.direction)}, or equivalent{margin}; otherwise undecided."
        )

    def question(self) -> Question:
        """Return the comparison of the study's arms with the other arm."""
        return Question(metric=self.metric, at=self.at, baseline=self.against, min_effect=self.min_effect)

    def judge(self, comparison: Comparison, *, lower_is_better: bool, due: bool) -> Judgment:
        """Return the verdict on the pair."""
        pair = self._pair(comparison)
        return Judgment(directed(pair, self.direction, lower_is_better), [Measured.of_pair(pair)])


class Equivalence(PairRule):
    """Two arms differ by less than ``margin``, by two one-sided tests."""

    kind: Literal["equivalence"] = "equivalence"
    margin: float = Field(gt=0, description="The smallest difference that matters.")

    @property
    def sentence(self) -> str:
        """The rule in words."""
        return (
            f"Reproduced if {self.measured} of '{self.arm}' and '{self.against}', paired by seed, is equivalent within "
            f"{self.margin:g} (two one-sided tests); not reproduced if it differs significantly; otherwise undecided."
        )

    def question(self) -> Question:
        """Return the comparison of the study's arms with the other arm."""
        return Question(metric=self.metric, at=self.at, baseline=self.against, min_effect=self.margin)

    def judge(self, comparison: Comparison, *, lower_is_better: bool, due: bool) -> Judgment:
        """Return the verdict on the pair."""
        pair = self._pair(comparison)
        verdicts: dict[PairVerdict, Verdict] = {
            "equivalent": "reproduced",
            "better": "not_reproduced",
            "worse": "not_reproduced",
            "undecided": "undecided",
            "not_yet": "pending",
        }
        return Judgment(verdicts[pair.verdict], [Measured.of_pair(pair)])


class Order(OrderRule):
    """The metric grows from arm to arm, as far as each neighboring pair shows."""

    kind: Literal["order"] = "order"
    min_effect: float | None = Field(
        default=None, gt=0, description="A smaller difference counts as none; null for the study's."
    )

    @property
    def sentence(self) -> str:
        """The rule in words."""
        listed = " < ".join(f"'{arm}'" for arm in self.arms)
        return (
            f"Reproduced if {self.measured} is significantly lower for each arm than for the next one in {listed}, "
            "paired by seed and corrected for all pairs of the study; not reproduced if a pair differs significantly "
            "in the other direction, or is equivalent; otherwise undecided."
        )

    def question(self) -> Question:
        """Return the comparison of all pairs."""
        return Question(metric=self.metric, at=self.at, all_pairs=True, min_effect=self.min_effect)


class Figure(ArmRule):
    """An arm's mean is the source's figure, within a tolerance."""

    kind: Literal["figure"] = "figure"
    value: float = Field(description="The source's figure.")
    tolerance: float = Field(gt=0, description="How far the mean may be from it.")

    @property
    def sentence(self) -> str:
        """The rule in words."""
        return (
            f"Reproduced if the 95 % interval of the mean of {self.measured} over the seeds of '{self.arm}' lies "
            f"within {self.value:g} ± {self.tolerance:g}; not reproduced if it lies outside; otherwise undecided."
        )

    def _judged(self, low: float, high: float) -> Verdict:
        least, most = self.value - self.tolerance, self.value + self.tolerance
        if least <= low and high <= most:
            return "reproduced"
        return "not_reproduced" if high < least or most < low else "undecided"


class Bound(ArmRule):
    """An arm's mean is below (or above) a bound."""

    kind: Literal["bound"] = "bound"
    direction: Side = Field(description="Whether the mean is claimed to be lower or higher than the bound.")
    bound: float

    @property
    def sentence(self) -> str:
        """The rule in words."""
        return (
            f"Reproduced if the 95 % interval of the mean of {self.measured} over the seeds of '{self.arm}' is "
            f"{self.direction} than {self.bound:g}; not reproduced if it is {opposite(self.direction)}; otherwise "
            "undecided."
        )

    def _judged(self, low: float, high: float) -> Verdict:
        if low <= self.bound <= high:
            return "undecided"
        return "reproduced" if (high < self.bound) == (self.direction == "lower") else "not_reproduced"


AnyRule = Annotated[
    Direction | Equivalence | Order | Figure | Bound | Sooner | Delay | Peak | LargerShare | Flips | PartOrder,
    Field(discriminator="kind"),
]
