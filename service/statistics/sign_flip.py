"""The sign-flip test of paired differences, exact up to 20 pairs, with its confidence interval and equivalence test.

If two arms do not differ, each seed's difference is as likely to be d as −d. So the sum of the differences is compared
with its values under all 2ⁿ choices of signs. Flipping the signs of a subset S leaves a sum at least as large as the
observed one exactly if Σ_S d ≤ 0: every function here counts such subsets.

Reference: Fisher, 1935, "The Design of Experiments", section 21; Hartigan, 1969, "Using subsample values as typical
values" (the interval); Phipson and Smyth, 2010, "Permutation p-values should never be zero" ((b + 1)/(B + 1)).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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
"""Random choices in memory at once."""
ROUNDING = 1e-12
"""Relative error of a difference. Each value of a subset counts with its own, so that one huge difference does not make
small ones beside it equal to zero."""

Floats = NDArray[np.float64]


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
            sums, absolutes, sizes = random_sums(np.column_stack([vectors[i] for i in batch]))
            for column, i in enumerate(batch):
                results[i] = _random(vectors[i], sums[:, column], absolutes[:, column], sizes, alpha, margin)
    return [results[i] for i in range(len(vectors))]


def two_sided_p(differences: Floats) -> float:
    """Return the share of choices of signs with a sum at least as far from zero as the observed one; (n,) → p."""
    return sign_flip_tests([differences], 1.0)[0].p


def interval(differences: Floats, alpha: float) -> tuple[float, float] | None:
    """Return the interval of all δ for which the two-sided test of ``differences`` − δ does not reject at ``alpha``.

    None if the test cannot reject with so few pairs: at 0.05, fewer than six.
    """
    return sign_flip_tests([differences], alpha)[0].interval


def _random(
    d: Floats, sums: Floats, absolutes: Floats, sizes: Floats, alpha: float, margin: float | None
) -> SignFlipResult:
    """Test ``d`` by the sums, sums of absolutes and sizes of random subsets, each of shape (FLIPS,)."""
    total = math.fsum(d)
    towards = sums * np.sign(total)
    beyond = (towards <= ROUNDING * absolutes) | (towards >= abs(total) - ROUNDING * (np.abs(d).sum() - absolutes))
    same = None
    if margin is not None:  # the sums of d + margin and of margin − d
        slack = ROUNDING * (absolutes + margin * sizes)
        same = max(_share(sums + margin * sizes, slack), _share(margin * sizes - sums, slack))
    outside = int(np.floor(alpha * (FLIPS + 1) / 2 + 1e-9))
    means = np.sort(sums[sizes > 0] / sizes[sizes > 0])
    return SignFlipResult(
        float((beyond.sum() + 1) / (FLIPS + 1)),
        (float(means[outside - 1]), float(means[-outside])) if 1 <= outside <= len(means) else None,
        same,
    )


def _share(sums: Floats, slack: Floats) -> float:
    return float(((sums <= slack).sum() + 1) / (FLIPS + 1))


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

    @classmethod
    def of(cls, values: Floats) -> _Halves:
        half = len(values) // 2
        parts = (values[:half], values[half:])
        left, right = (subset_sums(part) for part in parts)
        ones, others = (subset_sums(np.ones(len(part))) for part in parts)
        return cls((left, right), (ones, others), float(values.min()), float(values.max()))

    def means_up_to(self, delta: float) -> int:
        """Return how many non-empty subsets have a mean of at most ``delta``."""
        left, right = (sums - delta * sizes for sums, sizes in zip(self.sums, self.sizes, strict=True))
        right.sort()
        return int(np.searchsorted(right, -left, side="right").sum()) - 1

    def mean_of_rank(self, rank: int) -> float:
        """Return the subset mean of rank ``rank`` (from 1, smallest first), to a billionth of the range of all means.

        The number of means below δ nearly follows a normal law, so root finding on its quantiles takes few steps.
        """
        from scipy import optimize  # noqa: PLC0415 - slow to import; the server starts without it

        margin = 1e-9 * max(self.high - self.low, abs(self.low), abs(self.high))
        if margin == 0:
            return self.low
        subsets = len(self.sums[0]) * len(self.sums[1])
        normal = NormalDist()
        target = normal.inv_cdf((rank - 0.5) / subsets)

        def error(delta: float) -> float:
            return normal.inv_cdf((self.means_up_to(delta) + 0.25) / subsets) - target

        root: float = optimize.brentq(error, self.low - margin, self.high + margin, xtol=margin)
        return root


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


def random_sums(columns: Floats, flips: int = FLIPS) -> tuple[Floats, Floats, Floats]:
    """Return the sums (flips, m) over random subsets of each column of ``columns`` (n, m), of absolutes too, and sizes.

    Each of the n rows is in a subset with probability ½. The subsets are the same in every process.
    """
    n, m = columns.shape
    wide = np.column_stack([columns, np.abs(columns), np.ones(n)])
    sums = np.concatenate([subsets.astype(np.float64) @ wide for subsets in random_subsets(n, flips)])
    return sums[:, :m], sums[:, m:-1], sums[:, -1]


def random_subsets(n: int, flips: int = FLIPS) -> Iterator[NDArray[np.uint8]]:
    """Yield random subsets of n rows in batches (b, n), 1 for a member; the same ones in every process."""
    source = np.random.default_rng(n)
    for first in range(0, flips, FLIPS_PER_BATCH):
        rows = min(FLIPS_PER_BATCH, flips - first)
        bits = np.unpackbits(np.frombuffer(source.bytes(rows * -(-n // 8)), np.uint8)).reshape(rows, -1)
        yield bits[:, :n]
