"""Measurements of runs, and how those of two groups are paired by seed."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.statistics.family import sign_test_p
from service.statistics.sign_flip import EXACT_UP_TO, Floats, SignFlipResult

State = Literal["measured", "diverged", "unfinished", "missing"]
Test = Literal["sign_flip_exact", "sign_flip_random", "sign", "sequential_sign_flip", "sequential_sign", "none"]


@dataclass(frozen=True)
class Measurement:
    """One run's value, with its group, its seed and its cell (the values of other factors, such as the fold)."""

    group: str
    seed: int
    cell: str
    state: State
    value: float = math.nan


Seeds = Mapping[int, Mapping[str, Measurement]]
"""A group's measurements by seed and cell."""


@dataclass(frozen=True)
class PairedSample:
    """The pairs of two groups, before any test."""

    group: str
    baseline: str
    seeds: tuple[int, ...]
    differences: Floats
    group_diverged: tuple[int, ...]
    """Seeds at which the group diverged and the baseline did not."""
    baseline_diverged: tuple[int, ...]
    missing: int
    lower_is_better: bool

    @property
    def only_group_diverged(self) -> int:
        """Number of pairs in which the group diverged and the baseline did not."""
        return len(self.group_diverged)

    @property
    def only_baseline_diverged(self) -> int:
        """Number of pairs in which the baseline diverged and the group did not."""
        return len(self.baseline_diverged)

    @property
    def wins(self) -> int:
        """Number of pairs in which the group is better."""
        favorable = self.differences < 0 if self.lower_is_better else self.differences > 0
        return int(favorable.sum()) + self.only_baseline_diverged

    @property
    def losses(self) -> int:
        """Number of pairs in which the group is worse."""
        return int((self.differences != 0).sum()) + self.only_baseline_diverged + self.only_group_diverged - self.wins

    @property
    def some_diverged(self) -> bool:
        """Whether exactly one run of some pair diverged."""
        return self.only_group_diverged + self.only_baseline_diverged > 0

    def p(self, flips: SignFlipResult | None) -> float | None:
        """Return p of the sign test if a run diverged, else of the sign-flip test; None for a single seed."""
        if self.some_diverged:
            return sign_test_p(self.wins, self.losses) if self.wins + self.losses > 1 else None
        return None if flips is None or len(self.differences) < 2 else flips.p

    def p_equivalence(self, flips: SignFlipResult | None) -> float | None:
        """Return p of the two one-sided tests; None if a run diverged or for a single seed."""
        return None if flips is None or self.some_diverged or len(self.differences) < 2 else flips.p_equivalence

    @property
    def test(self) -> Test:
        """The test that ``p`` comes from."""
        if self.some_diverged:
            return "sign"
        if len(self.differences) < 2:
            return "none"
        return "sign_flip_exact" if len(self.differences) <= EXACT_UP_TO else "sign_flip_random"

    @property
    def favorable(self) -> bool:
        """Whether the tested effect points to the better side."""
        if self.some_diverged:
            return self.wins > self.losses
        return bool(self.differences.mean() < 0) == self.lower_is_better


def combined_state(cells: Iterable[Measurement]) -> State:
    """Return a seed's state: the worst state of its cells."""
    states = {cell.state for cell in cells}
    order: tuple[State, ...] = ("diverged", "missing", "unfinished", "measured")
    return next(state for state in order if state in states)


def pair_seeds(
    group: str, ours: Seeds, baseline: str, theirs: Seeds, expected: Collection[int], lower_is_better: bool
) -> PairedSample:
    """Pair the seeds that both groups have, on the cells that both have; other ``expected`` seeds are missing."""
    seeds, differences, lost, won = [], [], [], []
    missing = len(set(expected) - (ours.keys() & theirs.keys()))
    for seed in sorted(ours.keys() & theirs.keys()):
        cells = sorted(ours[seed].keys() & theirs[seed].keys())
        if not cells:
            continue
        mine, other = ([side[seed][cell] for cell in cells] for side in (ours, theirs))
        states = (combined_state(mine), combined_state(other))
        if states == ("measured", "measured"):
            seeds.append(seed)
            cell_differences = [a.value - b.value for a, b in zip(mine, other, strict=True)]
            differences.append(float(np.mean(cell_differences)) if len(cells) > 1 else cell_differences[0])
        elif states == ("diverged", "measured"):
            lost.append(seed)
        elif states == ("measured", "diverged"):
            won.append(seed)
        elif "missing" in states:
            missing += 1
    return PairedSample(
        group,
        baseline,
        tuple(seeds),
        np.array(differences, dtype=float),
        tuple(lost),
        tuple(won),
        missing,
        lower_is_better,
    )
