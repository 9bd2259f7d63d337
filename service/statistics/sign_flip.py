"""The sign-flip test of paired differences, exact up to 20 pairs, with its confidence interval and equivalence test.

If two arms do not differ, each seed's difference is as likely to be d as −d. So the sum of the differences is compared
with its values under all 2ⁿ choices of signs. Flipping the signs of a subset S leaves a sum at least as large as the
observed one exactly if Σ_S d ≤ 0: every function here counts such subsets.

Reference: Fisher, 1935, "The Design of Experiments", section 21; Hartigan, 1969, "Using subsample values as typical
values" (the interval); Phipson and Smyth, 2010, "Permutation p-values should never be zero" ((b + 1)/(B + 1)).
"""

from __future__ import annotations

from collections.abc import Sequence
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
            sums, sizes = _random_sums(np.column_stack([vectors[i] for i in batch]))
            for column, i in enumerate(batch):
                results[i] = _random(vectors[i], sums[:, column], sizes, alpha, margin)
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
    total, slack = float(d.sum()), _tolerance(d)
    towards = sums * np.sign(total)
    beyond = (towards <= slack) | (towards >= abs(total) - slack)
    same = None
    if margin is not None:  # the sums of d + margin and of margin − d
        same = max(_share(sums + margin * sizes, slack), _share(margin * sizes - sums, slack))
    outside = int(np.floor(alpha * (FLIPS + 1) / 2 + 1e-9))
    means = np.sort(sums[sizes > 0] / sizes[sizes > 0])
    return SignFlipResult(
        1.0 if abs(total) <= slack else float((beyond.sum() + 1) / (FLIPS + 1)),
        (float(means[outside - 1]), float(means[-outside])) if 1 <= outside <= len(means) else None,
        same,
    )


def _share(sums: Floats, slack: float) -> float:
    return float(((sums <= slack).sum() + 1) / (FLIPS + 1))


def _exact_p(d: Floats) -> float:
    total = float(d.sum())
    return 1.0 if abs(total) <= _tolerance(d) else min(1.0, 2 * _share_of_subsets(d * np.sign(total)))


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
        left, right = (_sums(part) for part in parts)
        ones, others = (_sums(np.ones(len(part))) for part in parts)
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
    return _subsets_at_most(differences, _tolerance(differences)) / 2.0 ** len(differences)


def _subsets_at_most(values: Floats, bound: float) -> int:
    """Count the subsets of ``values`` with a sum of at most ``bound``, by meeting in the middle of the halves' sums."""
    half = len(values) // 2
    left, right = _sums(values[:half]), np.sort(_sums(values[half:]))
    return int(np.searchsorted(right, bound - left, side="right").sum())


def _sums(values: Floats) -> Floats:
    """Return the sums of all 2ⁿ subsets."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums, sums + value])
    return sums


def _tolerance(differences: Floats) -> float:
    """Return the difference up to which two sums are equal but for rounding."""
    return 1e-12 * float(np.abs(differences).sum())


def _random_sums(columns: Floats) -> tuple[Floats, Floats]:
    """Return the sums (FLIPS, m) over random subsets of each column of ``columns`` (n, m), and their sizes (FLIPS,).

    Each of the n rows is in a subset with probability ½. The subsets are the same in every process.
    """
    n, wide = len(columns), np.column_stack([columns, np.ones(len(columns))])
    source, parts = np.random.default_rng(n), []
    for first in range(0, FLIPS, FLIPS_PER_BATCH):
        rows = min(FLIPS_PER_BATCH, FLIPS - first)
        bits = np.unpackbits(np.frombuffer(source.bytes(rows * -(-n // 8)), np.uint8)).reshape(rows, -1)
        parts.append(bits[:, :n].astype(np.float64) @ wide)
    sums = np.concatenate(parts)
    return sums[:, :-1], sums[:, -1]
