"""Arms over several datasets: aggregates of normalized scores, with intervals from a stratified bootstrap.

A score says how good a run is on its dataset, so that datasets can be pooled: higher is better. Every dataset weighs
the same, whatever its number of replicates. The bootstrap draws replicates within each dataset, the same ones for all
arms, because arms are paired by replicate. Its percentile intervals describe the spread over replicates of these
datasets; with few replicates they are too narrow, so they decide nothing.

Reference: Agarwal, Schwarzer, Castro, Courville and Bellemare, 2021, "Deep reinforcement learning at the edge of the
statistical precipice"; Dolan and Moré, 2002, "Benchmarking optimization software with performance profiles".
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.statistics.sign_flip import Floats

RESAMPLES = 2000
CONFIDENCE = 0.95
PERFECT = 1.0
"""The score from which the optimality gap is measured."""
VALUES_AT_ONCE = 2_000_000
PROFILE_POINTS = 101
LOWEST_THRESHOLD = -1.0
"""Profiles leave out lower scores: those of runs twice as far from the best value as guessing."""


@dataclass(frozen=True)
class Estimate:
    """A statistic of the sample, with its descriptive interval; None if some dataset has a single replicate."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Aggregates:
    """One arm over all datasets."""

    iqm: Estimate
    """Interquartile mean: of the middle half of the scores."""
    mean: Estimate
    median: Estimate
    """Median of the datasets' means."""
    optimality_gap: Estimate
    """Mean distance to 1 of the scores below it."""


@dataclass(frozen=True)
class Profile:
    """The share of an arm's scores above each threshold, with pointwise intervals."""

    share: tuple[float, ...]
    low: tuple[float, ...] | None
    high: tuple[float, ...] | None


class StratifiedBootstrap:
    """Scores of several arms, and draws of replicates within each dataset.

    ``tables`` has an array (arms, replicates) for each dataset: column r of every arm is the same replicate.
    """

    def __init__(self, tables: Sequence[Floats], *, resamples: int = RESAMPLES, seed: int = 0) -> None:
        self.tables = tables
        self.sizes = [table.shape[1] for table in tables]
        self.scores = np.concatenate(tables, axis=1)
        self._varies = min(self.sizes) > 1
        self._weight = np.repeat([1 / (len(tables) * size) for size in self.sizes], self.sizes)
        rng = np.random.default_rng(seed)
        draws = [rng.multinomial(size, np.full(size, 1 / size), resamples) for size in self.sizes]
        sample = np.ones((1, sum(self.sizes)), dtype=np.int64)
        self._counts: NDArray[np.int32] = np.vstack([sample, np.hstack(draws)]).astype(np.int32)

    def aggregates(self, arm: int) -> Aggregates:
        """Return the aggregates of an arm."""
        scores = self.scores[arm]
        return Aggregates(
            iqm=self._estimate(lambda weights: weighted_iqm(weights, scores)),
            mean=self._estimate(lambda weights: (weights * scores).sum(axis=1)),
            median=self._estimate(lambda weights: np.median(self._means(weights, scores), axis=1)),
            optimality_gap=self._estimate(lambda weights: (weights * np.maximum(PERFECT - scores, 0)).sum(axis=1)),
        )

    def profile(self, arm: int, thresholds: Floats) -> Profile:
        """Return the performance profile of an arm at increasing ``thresholds``."""
        order = np.argsort(self.scores[arm])
        below = np.searchsorted(self.scores[arm][order], thresholds, side="right")

        def shares(weights: Floats) -> Floats:
            cumulated = np.cumsum(np.pad(weights[:, order], ((0, 0), (1, 0))), axis=1)
            return np.clip(1 - cumulated[:, below], 0, 1)

        value, low, high = self._with_bounds(shares)
        if low is None or high is None:
            return Profile(tuple(value.tolist()), None, None)
        return Profile(tuple(value.tolist()), tuple(low.tolist()), tuple(high.tolist()))

    def probability_of_improvement(self, arm: int, other: int, *, interval: bool = True) -> Estimate:
        """Return the probability that a run of ``arm`` is better than one of ``other`` on a random dataset.

        The runs are drawn independently, and ties count half: the Mann–Whitney statistic, averaged over datasets.
        """
        ends = np.cumsum(self.sizes)

        def probabilities(weights: Floats) -> Floats:
            parts = np.split(weights * len(self.sizes), ends[:-1], axis=1)
            shares = [
                _share_won(part, table[arm], table[other]) for part, table in zip(parts, self.tables, strict=True)
            ]
            return np.asarray(np.mean(shares, axis=0), dtype=np.float64)

        return self._estimate(probabilities, interval=interval)

    def thresholds(self) -> Floats:
        """Return the thresholds of profiles: from the lowest to the highest score of any arm."""
        low, high = max(float(self.scores.min()), LOWEST_THRESHOLD), float(self.scores.max())
        return np.linspace(min(low, high), high, PROFILE_POINTS)

    def _means(self, weights: Floats, scores: Floats) -> Floats:
        """Return the datasets' means (b, datasets)."""
        starts = np.cumsum([0, *self.sizes[:-1]])
        return np.asarray(np.add.reduceat(weights * scores, starts, axis=1) * len(self.sizes), dtype=np.float64)

    def _estimate(self, statistic: Callable[[Floats], Floats], *, interval: bool = True) -> Estimate:
        """Return a statistic of weights (b, replicates) → (b,), with its interval."""
        value, low, high = self._with_bounds(statistic, interval=interval)
        return Estimate(float(value), None if low is None or high is None else (float(low), float(high)))

    def _with_bounds(
        self, statistic: Callable[[Floats], Floats], *, interval: bool = True
    ) -> tuple[Floats, Floats | None, Floats | None]:
        """Return the statistic of the sample, and its quantiles over the draws if replicates vary."""
        if not interval or not self._varies:
            return statistic(self._counts[:1] * self._weight)[0], None, None
        values = np.concatenate([statistic(weights) for weights in self._weights()])
        low, high = np.quantile(values[1:], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
        return values[0], low, high

    def _weights(self) -> Iterator[Floats]:
        """Yield the weights of all replicates, each row adding up to 1: of the sample, then of the draws."""
        rows = max(1, VALUES_AT_ONCE // self._counts.shape[1])
        for first in range(0, len(self._counts), rows):
            yield self._counts[first : first + rows] * self._weight


def weighted_iqm(weights: Floats, scores: Floats) -> Floats:
    """Return the means of the middle half of ``scores`` (n,) with ``weights`` (b, n) that add up to 1; (b,).

    With equal weights and n a multiple of four, it is the mean that ``scipy.stats.trim_mean(scores, 0.25)`` returns.
    Otherwise the values at the quartiles count in part.
    """
    order = np.argsort(scores)
    cumulated = np.clip(np.cumsum(weights[:, order], axis=1), 0.25, 0.75)
    middle = np.diff(cumulated, axis=1, prepend=0.25)
    return np.asarray((middle * scores[order]).sum(axis=1) / middle.sum(axis=1), dtype=np.float64)


def _share_won(weights: Floats, ours: Floats, theirs: Floats) -> Floats:
    """Return the weighted share of pairs of runs (n × n) that ``ours`` wins, ties counting half; (b,)."""
    order = np.argsort(theirs)
    cumulated = np.cumsum(np.pad(weights[:, order], ((0, 0), (1, 0))), axis=1)
    lower, up_to = (np.searchsorted(theirs[order], ours, side=side) for side in ("left", "right"))
    beaten = (cumulated[:, lower] + cumulated[:, up_to]) / 2
    return np.asarray((weights * beaten).sum(axis=1), dtype=np.float64)


@functools.cache
def studentized_range(arms: int, alpha: float) -> float:
    """Return the upper α quantile of the range of ``arms`` independent standard normal values."""
    from scipy import stats  # noqa: PLC0415 - slow to import; the server starts without it

    return float(stats.studentized_range.ppf(1 - alpha, arms, np.inf))
