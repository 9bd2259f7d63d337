"""A rule on a metric that rises and then falls from arm to arm, as in double descent."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal, Self

from pydantic import Field, model_validator

from service.reproductions.judgment import Judgment, Measured, Verdict
from service.reproductions.rule import Rule, directed, either_pair
from service.statistics.comparison import Comparison
from service.studies.question import Question

Verdicts = dict[tuple[str, str], Verdict]
"""By two arms in order: the verdict on the claim that the metric is higher for the second."""


class Peak(Rule):
    """An arm's metric is higher than that of an arm before it and of an arm behind it."""

    kind: Literal["peak"] = "peak"
    arms: tuple[str, ...] = Field(min_length=3, description="In order, such as from the narrowest to the widest.")
    at_arms: tuple[str, ...] | None = Field(default=None, description="Where the peak is claimed; null for anywhere.")

    @model_validator(mode="after")
    def _different_arms(self) -> Self:
        if len(set(self.arms)) < len(self.arms):
            raise ValueError("An arm is in the order twice.")
        if not self.at_arms or set(self.at_arms) <= set(self.arms[1:-1]):
            return self
        raise ValueError("A peak is at an arm between the first and the last.")

    @property
    def named_arms(self) -> Sequence[str]:
        """All arms of the order."""
        return self.arms

    @property
    def sentence(self) -> str:
        """The rule in words."""
        listed = ", ".join(f"'{arm}'" for arm in self.arms)
        where = "some arm" if self.at_arms is None else " or ".join(f"'{arm}'" for arm in self.at_arms)
        return (
            f"Reproduced if {self.measured} of {where} is significantly higher than that of an arm before it and of an "
            f"arm behind it in {listed}, paired by seed and corrected for all pairs of the study; not reproduced if "
            "each of these arms is significantly lower than, or equivalent to, all arms before it or all behind it; "
            "otherwise undecided."
        )

    def question(self) -> Question:
        """Return the comparison of all pairs."""
        return Question(metric=self.metric, at=self.at, all_pairs=True)

    def judge(self, comparison: Comparison, *, lower_is_better: bool, due: bool) -> Judgment:
        """Return the verdict, with the differences of the highest arm to the lowest on either side."""
        rises: Verdicts = {}
        for arm, following in combinations(self.arms, 2):
            pair, side = either_pair(comparison, arm, following)
            rises[arm, following] = directed(pair, side, lower_is_better)
            falls = directed(pair, "higher" if side == "lower" else "lower", lower_is_better)
            rises[following, arm] = falls
        inner = self.arms[1:-1] if self.at_arms is None else self.at_arms
        verdicts = {arm: self._peak(arm, rises) for arm in inner}
        ranked: tuple[Verdict, ...] = ("pending", "reproduced", "undecided", "not_reproduced")
        verdict = next(one for one in ranked if one in verdicts.values())
        return Judgment(verdict, self._figures(comparison, [arm for arm in inner if verdicts[arm] == verdict]))

    def _peak(self, arm: str, rises: Verdicts) -> Verdict:
        """Return whether the arm is a peak."""
        place = self.arms.index(arm)
        sides = [{rises[other, arm] for other in part} for part in (self.arms[:place], self.arms[place + 1 :])]
        if any("pending" in side for side in sides):
            return "pending"
        if all("reproduced" in side for side in sides):
            return "reproduced"
        return "not_reproduced" if any(side == {"not_reproduced"} for side in sides) else "undecided"

    def _figures(self, comparison: Comparison, candidates: Sequence[str]) -> list[Measured]:
        means = {group.id: group.mean for group in comparison.groups if group.mean is not None}
        if any(arm not in means for arm in self.arms):
            return []
        top = max(candidates, key=lambda arm: means[arm])
        place = self.arms.index(top)
        lowest = [min(part, key=lambda arm: means[arm]) for part in (self.arms[:place], self.arms[place + 1 :])]
        return [Measured.of_pair(either_pair(comparison, other, top)[0]) for other in lowest]
