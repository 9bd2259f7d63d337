"""The base classes of rules: what a rule needs of a comparison, and rules on a pair of arms and on one arm."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.reproductions.judgment import Judgment, Measured, Verdict
from service.statistics.comparison import Comparison, Pair
from service.studies.comparison import Compared
from service.studies.question import Question

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

    def judge_compared(self, compared: Compared) -> Judgment:
        """Return the verdict on a comparison and what comes with it, such as shares of variance."""
        return self.judge(compared.comparison, lower_is_better=compared.lower_is_better, due=compared.not_yet is None)

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
        return pair_of(comparison, self.arm, self.against)


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


class OrderRule(Rule):
    """A rule on arms in the order in which a figure grows."""

    arms: tuple[str, ...] = Field(min_length=2, description="From the lowest figure to the highest.")

    @model_validator(mode="after")
    def _different_arms(self) -> Self:
        if len(set(self.arms)) < len(self.arms):
            raise ValueError("An arm is in the order twice.")
        return self

    @property
    def named_arms(self) -> Sequence[str]:
        """All arms of the order."""
        return self.arms

    def judge(self, comparison: Comparison, *, lower_is_better: bool, due: bool) -> Judgment:
        """Return the verdict: that of every neighboring pair, or of the first that contradicts the order."""
        verdicts, figures = set[Verdict](), []
        for arm, following in pairwise(self.arms):
            pair, direction = either_pair(comparison, arm, following)
            verdicts.add(directed(pair, direction, lower_is_better))
            figures.append(Measured.of_pair(pair))
        ranked: tuple[Verdict, ...] = ("not_reproduced", "pending", "undecided", "reproduced")
        return Judgment(next(verdict for verdict in ranked if verdict in verdicts), figures)


def opposite(direction: Side) -> Side:
    """Return the other side."""
    return "higher" if direction == "lower" else "lower"


def directed(pair: Pair, direction: Side, lower_is_better: bool) -> Verdict:
    """Return the verdict on the claim that the group's metric is lower or higher than the baseline's."""
    if pair.verdict == "not_yet":
        return "pending"
    if pair.verdict == "undecided":
        return "undecided"
    favorable = "better" if (direction == "lower") == lower_is_better else "worse"
    return "reproduced" if pair.verdict == favorable else "not_reproduced"


def pair_of(comparison: Comparison, group: str, baseline: str) -> Pair:
    """Return the comparison of a group with a baseline."""
    (pair,) = (pair for pair in comparison.pairs if (pair.group, pair.baseline) == (group, baseline))
    return pair


def either_pair(comparison: Comparison, low: str, high: str) -> tuple[Pair, Side]:
    """Return the pair of two arms, and on which side its group is claimed to be."""
    for pair in comparison.pairs:
        if (pair.group, pair.baseline) == (low, high):
            return pair, "lower"
        if (pair.group, pair.baseline) == (high, low):
            return pair, "higher"
    raise KeyError((low, high))
