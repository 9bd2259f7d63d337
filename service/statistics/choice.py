"""Choice of an arm: the best, or the simplest of those as good as the best within one standard error.

    choose the simplest arm a with  m_a ≤ m_b + s_b / √k        b: the arm of the lowest mean m, where low is better

m is the mean and s the standard deviation of an arm's k values, one for each fold. Seeds are averaged within a fold
first: the seeds of a fold share its rows, so counting them one by one would understate the error. Without folds there
is one value for each seed.

Reference: Breiman, Friedman, Olshen and Stone, 1984, "Classification and regression trees", section 3.4.3 (the rule);
Hastie, Tibshirani and Friedman, 2009, "The elements of statistical learning", section 7.10 (the error over folds).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.statistics.pairing import Measurement
from service.statistics.sign_flip import Floats

Rule = Literal["best", "one_standard_error"]
Simplicity = Mapping[str, tuple[float, ...]]
"""By arm, the keys compared in turn; larger is simpler."""


@dataclass(frozen=True)
class Candidate:
    """An arm over the seeds that all candidates have; its mean is None if it cannot be chosen."""

    id: str
    values: tuple[float, ...]
    """One for each fold, or for each seed without folds."""
    mean: float | None
    std: float | None
    standard_error: float | None
    within: bool
    """Whether the arm is as good as the best within one standard error."""
    diverged: int
    unfinished: int
    missing: int


@dataclass(frozen=True)
class Choice:
    """The chosen arm, and the candidates."""

    chosen: str
    best: str
    over: Literal["folds", "seeds"] | None
    """Unit of the spread; None for a single value."""
    threshold: float | None
    """The worst mean that is as good as the best within one standard error."""
    seeds: tuple[int, ...]
    candidates: tuple[Candidate, ...]

    @property
    def within(self) -> list[str]:
        """The arms as good as the best within one standard error, including the best."""
        return [one.id for one in self.candidates if one.within]


def choose(
    measurements: Iterable[Measurement],
    *,
    arms: Sequence[str],
    rule: Rule,
    simplicity: Simplicity,
    lower_is_better: bool,
    on_folds: bool,
) -> Choice | None:
    """Choose among ``arms``; cells are folds. Return None if no arm can be chosen yet.

    An arm can be chosen if none of its runs diverged and some seed is complete; arms are judged by the seeds that are
    complete in all of them. If the standard error is unknown, only the best arm is within it.
    """
    table: dict[str, dict[int, list[Measurement]]] = {arm: {} for arm in arms}
    for one in measurements:
        table[one.group].setdefault(one.seed, []).append(one)
    complete = {arm: _complete_seeds(seeds) for arm, seeds in table.items() if not _count(seeds, "diverged")}
    complete = {arm: seeds for arm, seeds in complete.items() if seeds}
    shared = sorted(set.intersection(*complete.values())) if complete else []
    if not shared:
        return None
    values = {arm: _values([table[arm][seed] for seed in shared], on_folds=on_folds) for arm in complete}
    means = {arm: float(of_arm.mean()) for arm, of_arm in values.items()}
    sign = 1 if lower_is_better else -1
    best = min(means, key=lambda arm: sign * means[arm])
    error = _standard_error(values[best])
    threshold = None if error is None else means[best] + sign * error
    within = [arm for arm in means if arm == best or (threshold is not None and sign * means[arm] <= sign * threshold)]
    simplest = max(within, key=lambda arm: (simplicity.get(arm, ()), -sign * means[arm]))
    return Choice(
        chosen=best if rule == "best" else simplest,
        best=best,
        over=None if error is None else "folds" if on_folds else "seeds",
        threshold=threshold,
        seeds=tuple(shared),
        candidates=tuple(_candidate(arm, seeds, values.get(arm), within) for arm, seeds in table.items()),
    )


Seeds = Mapping[int, Sequence[Measurement]]


def _complete_seeds(seeds: Seeds) -> set[int]:
    return {seed for seed, cells in seeds.items() if all(cell.state == "measured" for cell in cells)}


def _count(seeds: Seeds, state: str) -> int:
    return sum(cell.state == state for cells in seeds.values() for cell in cells)


def _values(seeds: Sequence[Sequence[Measurement]], *, on_folds: bool) -> Floats:
    """Return each fold's mean over the seeds, or each seed's value."""
    ordered = [sorted(cells, key=lambda cell: cell.cell) for cells in seeds]
    values = np.array([[cell.value for cell in cells] for cells in ordered])
    means: Floats = values.mean(axis=0 if on_folds else 1)
    return means


def _standard_error(values: Floats) -> float | None:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def _candidate(arm: str, seeds: Seeds, values: Floats | None, within: Sequence[str]) -> Candidate:
    return Candidate(
        id=arm,
        values=() if values is None else tuple(values.tolist()),
        mean=None if values is None else float(values.mean()),
        std=None if values is None or len(values) < 2 else float(values.std(ddof=1)),
        standard_error=None if values is None else _standard_error(values),
        within=arm in within,
        diverged=_count(seeds, "diverged"),
        unfinished=_count(seeds, "unfinished"),
        missing=_count(seeds, "missing"),
    )
