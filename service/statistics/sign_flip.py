"""The sign-flip test of paired differences, exact up to 20 pairs, with its confidence interval and equivalence test.

If two arms do not differ, each seed's difference is as likely to be d as −d. So the sum of the differences is compared
with its values under all 2ⁿ choices of signs. Flipping the signs of a subset S leaves a sum at least as large as the
observed one exactly if Σ_S d ≤ 0: every function here counts such subsets.

Reference: Fisher, 1935, "The Design of Experiments", section 21; Hartigan, 1969, "Using subsample values as typical
values" (the interval); Phipson and Smyth, 2010, "Permutation p-values should never be zero" ((b + 1)/(B + 1)).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

EXACT_UP_TO = 20
"""Number of pairs up to which all choices of signs are counted."""
FLIPS = 100_000
"""Random choices of signs for more pairs; the same ones for every test of equally many pairs."""
VECTORS_PER_BATCH = 32
"""Vectors whose random sums are computed in one product."""
FLIPS_PER_BATCH = 10_000
"""Random choices that are drawn at once."""
MULTIPLICATIONS_AT_ONCE = 250_000
"""Size of a product of subsets and columns. OpenBLAS uses several threads for larger ones, and waits for them if the
processors are busy; and the floats stay in a processor's cache."""
FEW = 512
"""Subset means that are sorted to find the one of a rank."""
MAX_SECANTS = 12
ROUNDING = 1e-12
"""Relative error of a difference. Each value of a subset counts with its own, so that one huge difference does not make
small ones beside it equal to zero."""

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class SignFlipResult:
    """The test's result for one vector of differences."""

    p: float
    """Two-sided."""
    interval: tuple[float, float] | None
    p_equivalence: float | None
    """The larger p of two one-sided tests against a mean of at least the margin; None without a margin."""


def sign_flip_tests(vectors: Sequence[Floats], alpha: float, margin: float | None = None) -> list[SignFlipResult]:
    """Test every non-empty vector (nᵢ,); vectors of equal length share their random flips."""
    results: dict[int, SignFlipResult] = {}
    long: dict[int, list[int]] = {}
    for i, d in enumerate(vectors):
        if len(d) > EXACT_UP_TO:
            long.setdefault(len(d), []).append(i)
        else:
            same = None if margin is None else max(_share_of_subsets(d + margin), _share_of_subsets(margin - d))
            results[i] = SignFlipResult(_exact_p(d), _exact_interval(d, alpha), same)
    for indices in long.values():
        for first in range(0, len(indices), VECTORS_PER_BATCH):
            batch = indices[first : first + VECTORS_PER_BATCH]
            sums, sizes = random_sums(np.column_stack([vectors[i] for i in batch]))
            for i, column in zip(batch, sums, strict=True):
                results[i] = _random(vectors[i], column, sizes, alpha, margin)
    return [results[i] for i in range(len(vectors))]


def two_sided_p(differences: Floats) -> float:
    """Return the share of choices of signs with a sum at least as far from zero as the observed one; (n,) → p."""
    return sign_flip_tests([differences], 1.0)[0].p


def interval(differences: Floats, alpha: float) -> tuple[float, float] | None:
    """Return the interval of all δ for which the two-sided test of ``differences`` − δ does not reject at ``alpha``.

    None if the test cannot reject with so few pairs: at 0.05, fewer than six.
    """
    return sign_flip_tests([differences], alpha)[0].interval


def _random(d: Floats, sums: Floats, sizes: Floats, alpha: float, margin: float | None) -> SignFlipResult:
    """Test ``d`` by the sums and sizes of random subsets, each of shape (FLIPS,)."""
    total, absolutes = math.fsum(d), functools.partial(random_absolutes, d, FLIPS)
    beyond = is_beyond(sums * np.sign(total), abs(total), float(np.abs(d).sum()), absolutes)
    same = None
    if margin is not None:
        rounded = np.abs(d) + margin
        same = max(_share_at_most_zero(margin * sizes + sign * sums, rounded) for sign in (1, -1))
    outside = int(np.floor(alpha * (FLIPS + 1) / 2 + 1e-9))
    filled = sizes > 0
    means = sums / sizes if filled.all() else sums[filled] / sizes[filled]
    interval = None
    if 1 <= outside <= len(means):
        ends = np.partition(means, (outside - 1, len(means) - outside))
        interval = float(ends[outside - 1]), float(ends[-outside])
    return SignFlipResult(float((beyond.sum() + 1) / (FLIPS + 1)), interval, same)


def is_beyond(sums: Floats, total: float, total_absolute: float, absolutes: Callable[[Indices], Floats]) -> Booleans:
    """Return which subsets, when flipped, leave a sum at least as far from zero as ``total``, which is not negative.

    ``absolutes`` returns the sums of absolutes of the subsets with these indices. Only those close to a tie need them.
    """
    slack = ROUNDING * total_absolute
    beyond = (sums <= 0) | (sums >= total)
    close = np.flatnonzero(~beyond & ((sums <= slack) | (sums >= total - slack)))
    if len(close):
        within = absolutes(close)
        near = sums[close]
        beyond[close] = (near <= ROUNDING * within) | (near >= total - ROUNDING * (total_absolute - within))
    return beyond


def _share_at_most_zero(sums: Floats, rounded: Floats) -> float:
    """Return p against a mean of at most zero, from sums over random subsets; of values ``rounded`` (n,) large."""
    close = np.flatnonzero((sums > 0) & (sums <= ROUNDING * rounded.sum()))
    ties = int((sums[close] <= ROUNDING * random_absolutes(rounded, FLIPS, close)).sum()) if len(close) else 0
    return (int((sums <= 0).sum()) + ties + 1) / (FLIPS + 1)


def _exact_p(d: Floats) -> float:
    return min(1.0, 2 * _share_of_subsets(d * np.sign(math.fsum(d))))


def _exact_interval(d: Floats, alpha: float) -> tuple[float, float] | None:
    choices = 2 ** len(d)
    outside = int(np.floor(alpha * choices / 2 + 1e-9))
    if not 1 <= outside < choices - outside:
        return None
    halves = _Halves.of(d)
    return halves.mean_of_rank(outside), halves.mean_of_rank(choices - outside)


@dataclass(frozen=True)
class _Halves:
    """Sums and sizes of all subsets of either half of some values: enough to count the subsets of all values."""

    sums: tuple[Floats, Floats]
    sizes: tuple[Floats, Floats]
    low: float
    high: float
    center: float
    spread: float
    """Standard deviation of the means of subsets, nearly."""

    @classmethod
    def of(cls, values: Floats) -> _Halves:
        half = len(values) // 2
        parts = (values[:half], values[half:])
        left, right = (subset_sums(part) for part in parts)
        ones, others = (_subset_sizes(len(part)) for part in parts)
        spread = float(values.std()) / math.sqrt(len(values))
        return cls(
            (left, right), (ones, others), float(values.min()), float(values.max()), float(values.mean()), spread
        )

    def means_up_to(self, delta: float) -> int:
        """Return how many non-empty subsets have a mean of at most ``delta``."""
        left, right = (np.sort(sums - delta * sizes) for sums, sizes in zip(self.sums, self.sizes, strict=True))
        return int(np.searchsorted(right, -left[::-1], side="right").sum()) - 1  # sorted keys are found faster

    def mean_of_rank(self, rank: int) -> float:
        """Return the subset mean of rank ``rank`` (from 1, smallest first).

        The number of means below δ nearly follows a normal law, so secants of its quantiles soon bracket the rank.
        Each aims a little beyond it. Once few means are left, they are sorted.
        """
        margin = 1e-9 * max(self.high - self.low, abs(self.low), abs(self.high))
        if margin == 0:
            return self.low
        subsets = len(self.sums[0]) * len(self.sums[1])

        def quantile(count: float) -> float:
            return NormalDist().inv_cdf((min(max(count, 0), subsets - 1) + 0.25) / subsets)

        low, high = (self.low - margin, 0), (self.high + margin, subsets - 1)
        slope, delta, steps = self.spread, self.center + self.spread * quantile(rank), 0
        while high[1] - low[1] > FEW and high[0] - low[0] > margin:
            if not low[0] < delta < high[0] or steps > MAX_SECANTS:
                delta = (low[0] + high[0]) / 2
            count = self.means_up_to(delta)
            other = high if count < rank else low
            low, high = ((delta, count), high) if count < rank else (low, (delta, count))
            if steps and quantile(other[1]) != quantile(count):
                slope = (other[0] - delta) / (quantile(other[1]) - quantile(count))
            delta += slope * (quantile(rank + math.copysign(FEW / 3, rank - count)) - quantile(count))
            steps += 1
        return self._between(low[0], high[0], rank - low[1]) if high[1] - low[1] <= FEW else high[0]

    def _between(self, low: float, high: float, rank: int) -> float:
        """Return the mean of this rank among those above ``low`` and up to ``high``."""
        (left, right), (lefts, rights) = self.sums, self.sizes
        order = np.argsort(right - high * rights)
        right, rights = right[order], rights[order]
        keys, bounds = right - high * rights, -(left - high * lefts)
        ends = np.searchsorted(keys, bounds, side="right")
        widest = (high - low) * (lefts.max() + rights.max()) * (1 + 1e-9)
        counts = ends - np.searchsorted(keys, bounds - widest, side="left")
        i = np.repeat(np.arange(len(left)), counts)
        j = np.arange(len(i)) - np.repeat(np.cumsum(counts) - ends, counts)
        above = right[j] - low * rights[j] > -(left[i] - low * lefts[i])
        i, j = i[above], j[above]
        return float(np.sort((left[i] + right[j]) / (lefts[i] + rights[j]))[rank - 1])


def _share_of_subsets(differences: Floats) -> float:
    """Return the share of all subsets, the empty one included, whose sum is at most zero."""
    values = differences - ROUNDING * np.abs(differences)
    half = len(values) // 2
    left, right = subset_sums(values[:half]), np.sort(subset_sums(values[half:]))
    return int(np.searchsorted(right, -left, side="right").sum()) / 2.0 ** len(values)


def subset_sums(values: Floats) -> Floats:
    """Return the sums of all 2ⁿ subsets of the n rows; (n, …) → (2ⁿ, …)."""
    sums = np.zeros((1, *values.shape[1:]))
    for value in values:
        sums = np.concatenate([sums, sums + value])
    return sums


@functools.cache
def _subset_sizes(n: int) -> Floats:
    """Return the sizes of all subsets of n rows, in the order of ``subset_sums``."""
    return subset_sums(np.ones(n))


def random_sums(columns: Floats, flips: int = FLIPS) -> tuple[Floats, Floats]:
    """Return the sums (m, flips) over random subsets of each column of ``columns`` (n, m), and the sizes (flips,).

    Each of the n rows is in a subset with probability ½. The subsets are the same in every process.
    """
    n, m = columns.shape
    wide = np.column_stack([columns, np.ones(n)])
    sums, first = np.empty((m + 1, flips)), 0
    members = np.empty((max(1, MULTIPLICATIONS_AT_ONCE // (n * (m + 1))), n))
    for subsets in random_subsets(n, flips):
        for start in range(0, len(subsets), len(members)):
            some = subsets[start : start + len(members)]
            members[: len(some)] = some  # converting into the same memory is several times as fast as astype
            np.matmul(wide.T, members[: len(some)].T, out=sums[:, first : first + len(some)])
            first += len(some)
    return sums[:-1], sums[-1]


def random_absolutes(d: Floats, flips: int, indices: Indices) -> Floats:
    """Return the sums of |d| (n,) over the random subsets with these indices."""
    members = np.concatenate(list(random_subsets(len(d), flips)))[indices]
    return members @ np.abs(d)


def random_subsets(n: int, flips: int = FLIPS) -> Iterator[NDArray[np.uint8]]:
    """Yield random subsets of n rows in batches (b, n), 1 for a member; the same ones in every process."""
    source = np.random.default_rng(n)
    for first in range(0, flips, FLIPS_PER_BATCH):
        rows = min(FLIPS_PER_BATCH, flips - first)
        bits = np.unpackbits(np.frombuffer(source.bytes(rows * -(-n // 8)), np.uint8)).reshape(rows, -1)
        yield bits[:, :n]
