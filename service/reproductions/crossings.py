"""Rules on the first epoch at which a metric crosses a bound: who is sooner, and how long one metric takes longer."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Self

from pydantic import Field, model_validator

from service.reproductions.judgment import Judgment, Measured, Verdict
from service.reproductions.rule import ArmRule, PairRule, directed
from service.statistics.comparison import Comparison
from service.studies.question import Question

NEVER = "never crossed the bound"


class Sooner(PairRule):
    """An arm's metric crosses a bound at an earlier epoch than another arm's. A run that never does is last."""

    kind: Literal["sooner"] = "sooner"
    crosses: float = Field(description="The bound; a loss or an error crosses it downward, an accuracy upward.")

    @property
    def sentence(self) -> str:
        """The rule in words."""
        return (
            f"Reproduced if the first epoch at which {self.measured} crosses {self.crosses:g} is significantly earlier "
            f"for '{self.arm}' than for '{self.against}', paired by seed; not reproduced if it is significantly later; "
            "otherwise undecided. A run that never crosses it counts as later than any that does."
        )

    def question(self) -> Question:
        """Return the comparison of the epochs with those of the other arm."""
        return Question(metric=self.metric, at=self.at, baseline=self.against, crosses=self.crosses)

    def judge(self, comparison: Comparison, *, lower_is_better: bool, due: bool) -> Judgment:
        """Return the verdict on the pair."""
        pair = self._pair(comparison)
        neither = due and not len(pair.seeds) + pair.diverged + pair.baseline_diverged + pair.missing
        notes = [f"Neither '{self.arm}' nor '{self.against}' crossed the bound with any seed."] if neither else []
        figure = replace(Measured.of_pair(pair), loss=NEVER)
        return Judgment(directed(pair, "lower", lower_is_better), [figure], notes)


class Delay(ArmRule):
    """A metric crosses a bound long after another metric of the same run did."""

    kind: Literal["delay"] = "delay"
    crosses: float = Field(description="The bound; a loss or an error crosses it downward, an accuracy upward.")
    after: str = Field(description="The metric that crosses the bound first, such as train.error.")
    times: float = Field(gt=1, description="How many times as many epochs the rule's metric takes, at least.")

    @model_validator(mode="after")
    def _two_metrics(self) -> Self:
        if self.after == self.metric:
            raise ValueError(f"{self.after!r} is compared with itself.")
        return self

    @property
    def sentence(self) -> str:
        """The rule in words."""
        return (
            f"For each seed of '{self.arm}', the first epoch at which {self.measured} crosses {self.crosses:g} is "
            f"divided by that of {self.after}. Reproduced if the 95 % interval of the mean is above {self.times:g} and "
            f"every seed crosses both; not reproduced if it is below {self.times:g}; otherwise undecided."
        )

    def question(self) -> Question:
        """Return the comparison of the quotients of epochs."""
        return Question(metric=self.metric, at=self.at, crosses=self.crosses, after=self.after)

    def judge(self, comparison: Comparison, *, lower_is_better: bool, due: bool) -> Judgment:
        """Return the verdict on the interval of the arm's quotients."""
        judgment = super().judge(comparison, lower_is_better=lower_is_better, due=due)
        (figure,) = judgment.figures
        lost = figure.diverged
        notes = (
            [f"{lost} run{'s' * (lost > 1)} of '{self.arm}' did not cross the bound by both metrics."] if lost else []
        )
        return Judgment(judgment.verdict, [replace(figure, diverged=0)], notes)

    def _judged(self, low: float, high: float) -> Verdict:
        if low > self.times:
            return "reproduced"
        return "not_reproduced" if high < self.times else "undecided"
