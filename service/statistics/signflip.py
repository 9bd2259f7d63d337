"""The sign-flip test of paired differences, exact up to 20 pairs, and what follows from it.

If two arms do not differ, each seed's difference is as likely to be d as −d. So the sum of the differences is compared
with its values under all 2ⁿ choices of signs. Flipping the signs of a subset S leaves a sum at least as large as the
observed one exactly where Σ_S d ≤ 0: everything here counts such subsets.

Reference: Fisher, 1935, "The Design of Experiments", section 21; Hartigan, 1969, "Using subsample values as typical
values" (the interval); Phipson and Smyth, 2010, "Permutation p-values should never be zero" ((b + 1)/(B + 1)).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

EXACT_UP_TO = 20
"""Pairs up to which all choices of signs are counted."""
FLIPS = 100_000
"""Random choices of signs beyond that; the same ones for every test of as many pairs."""

Floats = NDArray[np.float64]


def two_sided_p(differences: Floats) -> float:
    """How often choices of signs give a sum at least as far from zero as the observed one; (n,) → p."""
    total = float(differences.sum())
    if abs(total) <= _tolerance(differences):
        return 1.0
    towards = differences * np.sign(total)
    if len(differences) <= EXACT_UP_TO:
        return min(1.0, 2 * _share_of_subsets(towards))
    sums = _random_subsets(len(differences)) @ towards
    beyond = (sums <= _tolerance(differences)) | (sums >= towards.sum() - _tolerance(differences))
    return float((beyond.sum() + 1) / (FLIPS + 1))


def one_sided_p(differences: Floats) -> float:
    """The p-value against "the mean is at most zero"; (n,) → p."""
    if len(differences) <= EXACT_UP_TO:
        return _share_of_subsets(differences)
    sums = _random_subsets(len(differences)) @ differences
    return float(((sums <= _tolerance(differences)).sum() + 1) / (FLIPS + 1))


def interval(differences: Floats, alpha: float) -> tuple[float, float] | None:
    """All δ that the two-sided test of ``differences`` − δ does not reject at ``alpha``.

    None where no data of so few pairs could be rejected: at 0.05, fewer than six.
    """
    n = len(differences)
    choices = 2.0**n if n <= EXACT_UP_TO else FLIPS + 1.0
    outside = int(np.floor(alpha * choices / 2 + 1e-9))
    if outside < 1:
        return None
    if n > EXACT_UP_TO:
        subsets = _random_subsets(n)
        sizes = subsets.sum(axis=1)
        means = np.sort((subsets[sizes > 0] @ differences) / sizes[sizes > 0])
        return float(means[outside - 1]), float(means[-outside])
    halves = _Halves.of(differences)
    return halves.mean_of_rank(outside), halves.mean_of_rank(int(choices) - outside)


@dataclass(frozen=True)
class _Halves:
    """Sum and size of every subset of either half of some values: enough to count the subsets of all of them."""

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
        """How many subsets but the empty one have a mean of at most ``delta``."""
        left, right = (sums - delta * sizes for sums, sizes in zip(self.sums, self.sizes, strict=True))
        right.sort()
        return int(np.searchsorted(right, -left, side="right").sum()) - 1

    def mean_of_rank(self, rank: int) -> float:
        """The mean of rank ``rank`` (from 1, smallest first) among those of all subsets, to a billionth of their range.

        How many means lie below δ grows nearly as a normal law does, so on its quantiles root finding takes few steps.
        """
        margin = 1e-9 * max(self.high - self.low, abs(self.low), abs(self.high))
        if margin == 0:
            return self.low
        subsets = len(self.sums[0]) * len(self.sums[1])
        wanted = special.ndtri((rank - 0.5) / subsets)

        def off(delta: float) -> float:
            return float(special.ndtri((self.means_up_to(delta) + 0.25) / subsets) - wanted)

        found: float = optimize.brentq(off, self.low - margin, self.high + margin, xtol=margin)
        return found


def _share_of_subsets(differences: Floats) -> float:
    """The share of all subsets whose sum is at most zero; the empty one is among them."""
    return _subsets_at_most(differences, _tolerance(differences)) / 2.0 ** len(differences)


def _subsets_at_most(values: Floats, bound: float) -> int:
    """How many subsets of ``values`` have a sum of at most ``bound``: each half's sums, met in the middle."""
    half = len(values) // 2
    left, right = _sums(values[:half]), np.sort(_sums(values[half:]))
    return int(np.searchsorted(right, bound - left, side="right").sum())


def _sums(values: Floats) -> Floats:
    """The sum of every subset, 2ⁿ of them."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums, sums + value])
    return sums


def _tolerance(differences: Floats) -> float:
    """Sums that differ by rounding only are equal."""
    return 1e-12 * float(np.abs(differences).sum())


@functools.lru_cache(maxsize=4)
def _random_subsets(n: int) -> NDArray[Any]:
    """``FLIPS`` subsets of n pairs, (FLIPS, n), each with probability 2⁻ⁿ; the same in every process."""
    bits = np.unpackbits(np.frombuffer(np.random.default_rng(n).bytes(FLIPS * -(-n // 8)), np.uint8))
    return bits.reshape(FLIPS, -1)[:, :n].astype(np.float64)
