"""Rules on studies that train every split of the data with every seed: what the split does to results and verdicts."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from service.reproductions.judgment import Judgment, Measured, Verdict
from service.reproductions.rule import ArmRule, PairRule
from service.statistics.comparison import Comparison
from service.studies.comparison import Compared
from service.studies.question import Question

Factor = Literal["split", "seed"]


class LargerShare(ArmRule):
    """More of the variance of an arm's single runs comes from the split than from the seed, or the reverse."""

    needs_intervals: ClassVar[bool] = True

    kind: Literal["larger_share"] = "larger_share"
    factor: Factor = Field(default="split", description="What is claimed to contribute more.")

    @property
    def sentence(self) -> str:
        """The rule in words."""
        other = "seed" if self.factor == "split" else "split"
        return (
            f"Reproduced if the {self.factor} contributes significantly more than the {other} to the variance of "
            f"{self.measured} of single runs of '{self.arm}', by the F test of both mean squares, with as many splits "
            "as seeds; not reproduced if it contributes significantly less; otherwise undecided."
        )

    def judge(self, comparison: Comparison, *, lower_is_better: bool, due: bool) -> Judgment:
        """Return the arm's figure; the verdict needs the components of variance."""
        (group,) = (group for group in comparison.groups if group.id == self.arm)
        return Judgment("undecided" if due else "pending", [Measured.of_arm(group)])

    def judge_compared(self, compared: Compared) -> Judgment:
        """Return the verdict on the shares of variance."""
        pending = super().judge_compared(compared)
        parts = compared.variances.get((self.arm,))
        if pending.verdict == "pending" or parts is None or parts.p is None:
            return pending
        shares = (f"{name} {part / parts.total:.0%}" for name, part in parts.by_source.items())
        notes = [f"Variance of single runs: {', '.join(shares)} (p = {parts.p:.3g})."]
        (figure,) = pending.figures
        if figure.diverged or parts.p > compared.comparison.alpha:
            return Judgment("undecided", pending.figures, notes)
        larger = "split" if parts.split > parts.seed else "seed"
        return Judgment("reproduced" if larger == self.factor else "not_reproduced", pending.figures, notes)

    def _judged(self, low: float, high: float) -> Verdict:
        raise AssertionError("The interval of the mean decides nothing.")


class Flips(PairRule):
    """The seeds of one split show that an arm is better, and those of another that it is worse."""

    kind: Literal["flips"] = "flips"

    @property
    def sentence(self) -> str:
        """The rule in words."""
        return (
            f"'{self.arm}' and '{self.against}' are compared by {self.measured} on each split alone, paired by seed. "
            "Reproduced if one is significantly better on a split and the other on another, corrected for the number "
            "of splits (Bonferroni); not reproduced if the same one is significantly better on every split, "
            "uncorrected; otherwise undecided."
        )

    def question(self) -> Question:
        """Return the comparison with the other arm, and of each split."""
        return Question(metric=self.metric, at=self.at, baseline=self.against, each_split=True)

    def judge(self, comparison: Comparison, *, lower_is_better: bool, due: bool) -> Judgment:
        """Return the pair's figure; the verdict needs the tests of each split."""
        pair = self._pair(comparison)
        return Judgment("pending" if pair.verdict == "not_yet" else "undecided", [Measured.of_pair(pair)])

    def judge_compared(self, compared: Compared) -> Judgment:
        """Return the verdict on the tests of all splits."""
        pending = super().judge_compared(compared)
        tests = compared.of_splits.get((self.arm, self.against), ())
        if pending.verdict == "pending" or not tests:
            return pending
        alpha = compared.comparison.alpha
        decided = [test.favorable for test in tests if test.p <= alpha]
        better, worse = decided.count(True), decided.count(False)
        rest = len(tests) - better - worse
        notes = [
            f"On {len(tests)} splits alone, '{self.arm}' is better on {better}, worse on {worse}, undecided on {rest}."
        ]
        if {test.favorable for test in tests if test.p * len(tests) <= alpha} == {True, False}:
            return Judgment("reproduced", pending.figures, notes)
        verdict: Verdict = "not_reproduced" if len(tests) in (better, worse) else "undecided"
        return Judgment(verdict, pending.figures, notes)
