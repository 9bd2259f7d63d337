"""The verdict on a claim, and the figures of this server that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from service.statistics.comparison import Pair
from service.statistics.comparison import Verdict as PairVerdict
from service.statistics.summaries import Summary

Verdict = Literal["reproduced", "not_reproduced", "undecided", "pending"]
"""``pending``: the runs have not ended, or some of them were cancelled or deleted."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A figure of this server that a verdict rests on: an arm's mean, or its paired difference to another arm."""

    arm: str
    against: str | None = None
    n: int
    mean: float | None
    std: float | None
    interval: tuple[float, float] | None
    p: float | None = None
    """Corrected for the pairs of the comparison; None in a sequential study."""
    verdict: PairVerdict | None = None
    """The comparison's verdict on the pair."""
    diverged: int
    """Seeds at which the arm diverged; of a pair, and the other arm did not."""
    against_diverged: int = 0
    missing: int
    """Seeds with a run that failed, was cancelled or deleted, or has no value."""
    loss: str = "diverged"
    """Verb of the sentence on runs that count as diverged."""

    @classmethod
    def of_arm(cls, group: Summary) -> Measured:
        """Return the mean of an arm."""
        return cls(
            arm=group.id,
            n=group.n,
            mean=group.mean,
            std=group.std,
            interval=group.interval,
            diverged=group.diverged,
            missing=group.missing,
        )

    @classmethod
    def of_pair(cls, pair: Pair) -> Measured:
        """Return the difference of a pair."""
        return cls(
            arm=pair.group,
            against=pair.baseline,
            n=len(pair.seeds),
            mean=pair.mean,
            std=pair.std,
            interval=pair.interval,
            p=pair.p_adjusted,
            verdict=pair.verdict,
            diverged=pair.diverged,
            against_diverged=pair.baseline_diverged,
            missing=pair.missing,
        )


@dataclass(frozen=True)
class Judgment:
    """The verdict on a claim, and the figures that it rests on."""

    verdict: Verdict
    figures: Sequence[Measured]
    notes: Sequence[str] = ()
    """Sentences with other figures that the verdict rests on, such as shares of variance."""
