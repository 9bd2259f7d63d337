"""Rules of claims: what a comparison must show for a claim to be reproduced. Pure functions of the comparison.

A rule names a study, arms and a metric, and is fixed in the file of its reproduction before any run. Its verdict
follows from the comparison's own verdicts and intervals, so it is as strict as they are.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.reproductions.judgment import Judgment, Measured, Verdict
from service.statistics.comparison import Comparison, Pair
from service.statistics.comparison import Verdict as PairVerdict
from service.studies.comparison import Question

Side = Literal["lower", "higher"]


class Rule(BaseModel):
    """A condition on a comparison. ``metric``, ``at`` and ``min_effect`` are those of the study unless they are set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    needs_intervals: ClassVar[bool] = False
    """Whether the rule uses intervals of means, which studies with a fixed number of seeds have."""

    study: str = Field(description="The study of the reproduction whose arms are compared.")
    metric: str | None = Field(default=None, description="The metric to compare by; null for the study's.")
    at: str | None = Field(default=None, description="best, last or epoch:N; null for the study's.")

    @property
    @abstractmethod
    def named_arms(self) -> Sequence[str]:
        """The ids of the arms that the rule names."""

    @property
    @abstractmethod
    def sentence(self) -> str:
        """The rule in words."""

    @abstractmethod
    def question(self) -> Question:
        """Return the question whose answer ``judge`` takes."""

    @abstractmethod
    def judge(self, comparison: Comparison, *, lower_is_better: bool, due: bool) -> Judgment:
        """Return the verdict. ``due`` is whether the comparison has tested anything."""

    @property
    def measured(self) -> str:
        """The metric and the epoch in words."""
        epochs = {None: "", "best": " at the best epoch", "last": " at the last epoch"}
        epoch = epochs[self.at] if self.at in epochs else f" at epoch {(self.at or '').removeprefix('epoch:')}"
        return f"{self.metric or 'the metric of the study'}{epoch}"


class PairRule(Rule):
    """A rule on the paired difference of two arms."""

    arm: str
    against: str = Field(description="The arm that is subtracted.")

    @model_validator(mode="after")
    def _two_arms(self) -> Self:
        if self.arm == self.against:
            raise ValueError(f"{self.arm!r} is compared with itself.")
        return self

    @property
    def named_arms(self) -> Sequence[str]:
        """Both arms."""
        return [self.arm, self.against]

    def _pair(self, comparison: Comparison) -> Pair:
        return _pair_of(comparison, self.arm, self.against)


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
            f"{_opposite(self.direction)}, or equivalent{margin}; otherwise undecided."
        )

    def question(self) -> Question:
        """Return the comparison of the study's arms with the other arm."""
        return Question(metric=self.metric, at=self.at, baseline=self.against, min_effect=self.min_effect)

    def judge(self, comparison: Comparison, *, lower_is_better: bool, due: bool) -> Judgment:
        """Return the verdict on the pair."""
        pair = self._pair(comparison)
        return Judgment(_directed(pair, self.direction, lower_is_better), [Measured.of_pair(pair)])


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


class Order(Rule):
    """The metric grows from arm to arm, as far as each neighboring pair shows."""

    kind: Literal["order"] = "order"
    arms: tuple[str, ...] = Field(min_length=2, description="From the lowest metric to the highest.")
    min_effect: float | None = Field(
        default=None, gt=0, description="A smaller difference counts as none; null for the study's."
    )

    @model_validator(mode="after")
    def _different_arms(self) -> Self:
        if len(set(self.arms)) < len(self.arms):
            raise ValueError("An arm is in the order twice.")
        return self

    @property
    def named_arms(self) -> Sequence[str]:
        """All arms of the order."""
        return self.arms

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

    def judge(self, comparison: Comparison, *, lower_is_better: bool, due: bool) -> Judgment:
        """Return the verdict: that of every neighboring pair, or of the first that contradicts the order."""
        verdicts, figures = set[Verdict](), []
        for arm, following in pairwise(self.arms):
            pair, direction = _either_pair(comparison, arm, following)
            verdicts.add(_directed(pair, direction, lower_is_better))
            figures.append(Measured.of_pair(pair))
        ranked: tuple[Verdict, ...] = ("not_reproduced", "pending", "undecided", "reproduced")
        return Judgment(next(verdict for verdict in ranked if verdict in verdicts), figures)


class ArmRule(Rule):
    """A rule on the mean of one arm, by its interval."""

    needs_intervals: ClassVar[bool] = True

    arm: str

    @property
    def named_arms(self) -> Sequence[str]:
        """The arm."""
        return [self.arm]

    def question(self) -> Question:
        """Return the study's comparison, which has the interval of every arm."""
        return Question(metric=self.metric, at=self.at, directed=False)

    def judge(self, comparison: Comparison, *, lower_is_better: bool, due: bool) -> Judgment:
        """Return the verdict on the arm's interval; undecided if it has none, as with fewer than six seeds.

        The interval leaves diverged runs out, so with any the claim is not reproduced by the others alone.
        """
        (group,) = (group for group in comparison.groups if group.id == self.arm)
        verdict: Verdict = "undecided" if due else "pending"
        if due and group.interval is not None:
            verdict = self._judged(*group.interval)
            if verdict == "reproduced" and group.diverged:
                verdict = "undecided"
        return Judgment(verdict, [Measured.of_arm(group)])

    @abstractmethod
    def _judged(self, low: float, high: float) -> Verdict:
        """Return the verdict on an interval."""


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
            f"{self.direction} than {self.bound:g}; not reproduced if it is {_opposite(self.direction)}; otherwise "
            "undecided."
        )

    def _judged(self, low: float, high: float) -> Verdict:
        if low <= self.bound <= high:
            return "undecided"
        return "reproduced" if (high < self.bound) == (self.direction == "lower") else "not_reproduced"


AnyRule = Annotated[Direction | Equivalence | Order | Figure | Bound, Field(discriminator="kind")]


def _opposite(direction: Side) -> Side:
    return "higher" if direction == "lower" else "lower"


def _directed(pair: Pair, direction: Side, lower_is_better: bool) -> Verdict:
    """Return the verdict on the claim that the group's metric is lower or higher than the baseline's."""
    if pair.verdict == "not_yet":
        return "pending"
    if pair.verdict == "undecided":
        return "undecided"
    favorable = "better" if (direction == "lower") == lower_is_better else "worse"
    return "reproduced" if pair.verdict == favorable else "not_reproduced"


def _pair_of(comparison: Comparison, group: str, baseline: str) -> Pair:
    (pair,) = (pair for pair in comparison.pairs if (pair.group, pair.baseline) == (group, baseline))
    return pair


def _either_pair(comparison: Comparison, low: str, high: str) -> tuple[Pair, Side]:
    """Return the pair of two arms, and on which side its group is claimed to be."""
    for pair in comparison.pairs:
        if (pair.group, pair.baseline) == (low, high):
            return pair, "lower"
        if (pair.group, pair.baseline) == (high, low):
            return pair, "higher"
    raise KeyError((low, high))
