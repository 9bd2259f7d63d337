"""Sequential studies: comparisons that are decided as soon as the data suffice, seeds being added look by look.

At each look of the ``design``, every undecided comparison is tested against the critical value of those that are left
(``boundary``). A comparison is decided when it is significant, or when its mean difference is equivalent to zero; it
then needs no more seeds.

*Significance.* By the last look, the probability of any false verdict "better" or "worse" is at most α, under the
assumption of ``max_t``: among the comparisons without an effect, the differences of a seed together could as well have
had the other sign.

*Divergence.* From the look at which exactly one run of a pair has diverged, a comparison is judged by the sign test:
its differences are replaced by their signs, with a loss for a diverged run and a win for a diverged baseline. If k of m
comparisons are, each spends 1/m of the α of that look and of later ones by itself, and the others together spend
(m − k)/m of it.

*Missing pairs* contribute 0 under every flip.

*Equivalence.* A comparison is equivalent if its repeated interval of level 1 − 2α/m is within ±``min_effect``. By
symmetry, the interval is below a true difference at any look with probability α/m at most, and so is above it. A true
difference of at least ``min_effect`` is on one side, so the probability of any false verdict "equivalent" is at most α.
The comparison leaves the family, but the critical values of the others do not fall: it remains counted (``boundary``).

*Intervals* are repeated confidence intervals of level 1 − α, for each comparison by itself: not corrected for their
number. If a comparison is decided before the last look, its mean is biased away from zero, because the study stops when
the mean happens to be large.

Reference: Jennison and Turnbull, 1993, "Sequential equivalence testing and repeated confidence intervals"; Maurer and
Bretz, 2013, "Multiple testing in group sequential trials using graphical approaches".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.statistics.boundary import Boundary, Critical, Family
from service.statistics.design import Design
from service.statistics.pairing import PairedSample
from service.statistics.repeated_interval import Interval, ShiftedTest

Decision = Literal["better", "worse", "equivalent"]


@dataclass(frozen=True)
class LookResult:
    """One comparison at one look."""

    seeds: int
    statistic: float
    """|Σd| / √(Σd²), of signs if a run has diverged; its variance under flips is 1."""
    critical_value: float | None
    """The comparison is significant if its statistic is larger; None if no result can be significant at this look."""
    p: float
    """Share of all flips in which any comparison of the family has as large a statistic; not corrected for looks."""
    nominal_p: float
    """Share of all flips above the critical value: p is significant up to it."""
    alpha_spendable: float
    """α that the comparison's family may have spent by this look."""
    alpha_spent: float


@dataclass(frozen=True)
class SequentialResult:
    """One comparison of a sequential study."""

    group: str
    baseline: str
    test: Literal["sign_flip", "sign"]
    looks: tuple[LookResult, ...]
    """Looks until the decision, with the critical values of the family in which it was taken."""
    decision: Decision | None
    decided_at: int | None
    """Number of seeds at the look of the decision."""
    n: int
    """Measured pairs up to then."""
    mean: float | None
    mean_biased: bool
    """Whether the study stopped early, so that the mean is likely too far from zero."""
    interval: Interval | None
    """Repeated confidence interval of the mean difference at the last of ``looks``."""


@dataclass(frozen=True)
class SequentialAnalysis:
    """A sequential study at its latest look."""

    design: Design
    seeds: int
    """Number of seeds at the latest look; 0 before the first."""
    next_look: int | None
    """Number of seeds at the next look; None if everything is decided or no look is left."""
    results: tuple[SequentialResult, ...]


def analyze(
    design: Design,
    samples: Sequence[PairedSample],
    seeds: Sequence[int],
    *,
    min_effect: float | None = None,
    intervals: bool = True,
) -> SequentialAnalysis:
    """Analyze all looks that ``seeds`` reaches.

    ``seeds`` are those of complete looks, in the order in which they were added. Results of a decided comparison do not
    depend on seeds added later. Without ``intervals`` the decisions are the same, and take less time.
    """
    study = _Study(design, samples, seeds, min_effect)
    for look in range(study.looks):
        study.take(look)
    return study.analysis(intervals=intervals)


@dataclass(frozen=True)
class _Verdict:
    decision: Decision
    look: int
    history: tuple[LookResult, ...]


class _Study:
    """The comparisons, look by look."""

    def __init__(
        self, design: Design, samples: Sequence[PairedSample], seeds: Sequence[int], min_effect: float | None
    ) -> None:
        self._design, self._samples, self._min_effect = design, samples, min_effect
        lengths = [n for n in design.looks if n <= len(seeds)]
        self.looks = len(lengths)
        self._lengths = lengths
        row = {seed: i for i, seed in enumerate(seeds[: lengths[-1] if lengths else 0])}
        shape = (len(row), len(samples))
        self._differences, self._measured, self._signs = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self._diverged_from = np.full(len(samples), self.looks)
        for j, sample in enumerate(samples):
            self._fill(j, sample, row)
        self._verdicts: dict[int, _Verdict] = {}
        self._departed: dict[int, int] = {}
        self._by_sign: dict[int, Boundary] = {}
        self._beyond: dict[tuple[int, int], Boundary] = {}
        self._boundary, self._columns = self._joint()

    def _fill(self, j: int, sample: PairedSample, row: Mapping[int, int]) -> None:
        """Set column ``j`` of the matrices (seeds, comparisons)."""
        for seed, difference in zip(sample.seeds, sample.differences.tolist(), strict=True):
            if seed in row:
                self._differences[row[seed], j] = difference
                self._measured[row[seed], j] = 1.0
        self._signs[:, j] = np.sign(self._differences[:, j])
        lost = [row[seed] for seed in sample.group_diverged if seed in row]
        won = [row[seed] for seed in sample.baseline_diverged if seed in row]
        worse = 1.0 if sample.lower_is_better else -1.0
        self._signs[lost, j], self._signs[won, j] = worse, -worse
        if first := [*lost, *won]:
            self._diverged_from[j] = int(np.searchsorted(self._lengths, min(first), side="right"))

    def _joint(self) -> tuple[Boundary, list[int]]:
        """Return the boundary of the comparisons that have not been rejected, and which they are."""
        columns = [j for j in range(len(self._samples)) if j not in self._verdicts or j in self._departed]
        looks = np.arange(self.looks)[:, None]
        left = np.array([self._departed.get(j, self.looks) for j in columns])
        diverged = (looks >= self._diverged_from[columns]) & (looks <= left)
        family = Family(
            members=(looks <= left) & ~diverged,
            shares=1 - diverged.sum(axis=1) / max(1, len(self._samples)),
            departed=(looks > left).sum(axis=1),
        )
        return Boundary.of(self._design, self._differences[:, columns], family, self._design.alpha), columns

    def _sign_boundary(self, j: int) -> Boundary:
        """Return the boundary of a comparison with divergence, judged by its signs."""
        if j not in self._by_sign:
            tested = np.arange(self.looks) >= self._diverged_from[j]
            family = Family(tested[:, None], tested / len(self._samples), np.zeros(self.looks, int))
            self._by_sign[j] = Boundary.of(self._design, self._signs[:, [j]], family, self._design.alpha)
        return self._by_sign[j]

    def _critical(self, j: int, look: int) -> tuple[Critical, int]:
        """Return the critical value that judges comparison ``j`` at a look, and its column."""
        if look >= self._diverged_from[j]:
            return self._sign_boundary(j).at(look), 0
        return self._boundary.at(look), self._columns.index(j)

    def take(self, look: int) -> None:
        """Decide what can be decided at a look."""
        undecided = [j for j in range(len(self._samples)) if j not in self._verdicts]
        equivalent = [j for j in undecided if self._is_equivalent(j, look)]
        while crossed := {
            j: direction for j in undecided if j not in self._verdicts and (direction := self._direction(j, look))
        }:
            for j, direction in crossed.items():
                better = (direction < 0) == self._samples[j].lower_is_better
                self._decide(j, look, "equivalent" if j in equivalent else "better" if better else "worse")
            self._boundary, self._columns = self._joint()
        departing = [j for j in equivalent if j not in self._verdicts]
        for j in departing:
            self._decide(j, look, "equivalent")
            self._departed[j] = look
        if departing:
            self._boundary, self._columns = self._joint()

    def _decide(self, j: int, look: int, decision: Decision) -> None:
        self._verdicts[j] = _Verdict(decision, look, self._history(j, look))

    def _direction(self, j: int, look: int) -> int:
        """Return the direction in which a comparison has crossed by a look; 0 if it has not."""
        crossings = (critical.crossed[i] for critical, i in (self._critical(j, k) for k in range(look + 1)))
        return next((int(crossing) for crossing in crossings if crossing), 0)

    def _is_equivalent(self, j: int, look: int) -> bool:
        """Return whether the repeated interval of a comparison is within ±``min_effect``."""
        effect = self._min_effect
        if not effect or look >= self._diverged_from[j]:
            return False
        if any(self._beyond_effect(j, side).at(look).crossed[0] != -side for side in (-1, 1)):
            return False
        interval = self._interval(j, look, self._equivalence_alpha)
        return interval is not None and -effect < interval[0] and interval[1] < effect

    def _beyond_effect(self, j: int, side: int) -> Boundary:
        """Return the boundary of a comparison's differences minus the smallest effect on one side of zero."""
        if (j, side) not in self._beyond:
            shifted = self._differences[:, [j]] - side * (self._min_effect or 0) * self._measured[:, [j]]
            family = Family.alone(self.looks)
            self._beyond[j, side] = Boundary.of(self._design, shifted, family, self._equivalence_alpha)
        return self._beyond[j, side]

    @property
    def _equivalence_alpha(self) -> float:
        return 2 * self._design.alpha / len(self._samples)

    def _interval(self, j: int, look: int, alpha: float) -> Interval | None:
        n = self._lengths[look]
        return ShiftedTest(self._design, self._differences[:n, j], self._measured[:n, j]).interval(alpha)

    def _history(self, j: int, look: int) -> tuple[LookResult, ...]:
        return tuple(_look_result(*self._critical(j, k)) for k in range(look + 1))

    def analysis(self, *, intervals: bool) -> SequentialAnalysis:
        """Return the study as of the latest look."""
        results = tuple(self._result(j, interval=intervals) for j in range(len(self._samples)))
        following = [n for n in self._design.looks if n > (self._lengths[-1] if self._lengths else 0)]
        undecided = any(result.decision is None for result in results)
        return SequentialAnalysis(
            design=self._design,
            seeds=self._lengths[-1] if self._lengths else 0,
            next_look=following[0] if undecided and following else None,
            results=results,
        )

    def _result(self, j: int, *, interval: bool) -> SequentialResult:
        sample, verdict = self._samples[j], self._verdicts.get(j)
        look = verdict.look if verdict else self.looks - 1
        n = self._lengths[look] if self.looks else 0
        measured = self._differences[:n, j][self._measured[:n, j] > 0]
        return SequentialResult(
            group=sample.group,
            baseline=sample.baseline,
            test="sign" if look >= self._diverged_from[j] else "sign_flip",
            looks=verdict.history if verdict else self._history(j, look),
            decision=verdict.decision if verdict else None,
            decided_at=n if verdict else None,
            n=len(measured),
            mean=float(measured.mean()) if len(measured) else None,
            mean_biased=verdict is not None and n < self._design.max_seeds,
            interval=self._interval(j, look, self._design.alpha) if interval and self.looks else None,
        )


def _look_result(critical: Critical, column: int) -> LookResult:
    return LookResult(
        seeds=critical.seeds,
        statistic=abs(float(critical.statistics[column])),
        critical_value=critical.value if math.isfinite(critical.value) else None,
        p=float(critical.p_values[column]),
        nominal_p=critical.nominal_p,
        alpha_spendable=critical.spendable,
        alpha_spent=critical.spent,
    )
