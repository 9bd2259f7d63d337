"""The sign-flip test of paired differences, exact up to 20 pairs, and what follows from it.

If two arms do not differ, each seed's difference is as likely to be d as −d. So the sum of the differences is compared
with its values under all 2ⁿ choices of signs. Flipping the signs of a subset S leaves a sum at least as large as the
observed one exactly where Σ_S d ≤ 0: everything here counts such subsets.

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
"""Pairs up to which all choices of signs are counted."""
FLIPS = 100_000
"""Random choices of signs beyond that; the same ones for every test of as many pairs."""
TOGETHER = 32
"""Vectors whose random sums are computed in one product."""
AT_ONCE = 10_000
"""Random choices that are in memory at once."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tested:
    """What the test says of one vector of differences."""

    p: float
    """Two-sided."""
    interval: tuple[float, float] | None
    p_equivalence: float | None
    """The larger p of two one-sided tests against a mean of at least the margin; None without one."""


def sign_flip_tests(vectors: Sequence[Floats], alpha: float, margin: float | None = None) -> list[Tested]:
    """Test every vector (nᵢ,), random flips of all vectors of a length together; a vector has at least one value."""
    found: dict[int, Tested] = {}
    long: dict[int, list[int]] = {}
    for i, d in enumerate(vectors):
        if len(d) > EXACT_UP_TO:
            long.setdefault(len(d), []).append(i)
        else:
            same = None if margin is None else max(_share_of_subsets(d + margin), _share_of_subsets(margin - d))
            found[i] = Tested(_exact_p(d), _exact_interval(d, alpha), same)
    for indices in long.values():
        for first in range(0, len(indices), TOGETHER):
            some = indices[first : first + TOGETHER]
            sums, sizes = _random_sums(np.column_stack([vectors[i] for i in some]))
            for column, i in enumerate(some):
                found[i] = _random(vectors[i], sums[:, column], sizes, alpha, margin)
    return [found[i] for i in range(len(vectors))]


def two_sided_p(differences: Floats) -> float:
    """How often choices of signs give a sum at least as far from zero as the observed one; (n,) → p."""
    return sign_flip_tests([differences], 1.0)[0].p


def interval(differences: Floats, alpha: float) -> tuple[float, float] | None:
    """All δ that the two-sided test of ``differences`` − δ does not reject at ``alpha``.

    None where no data of so few pairs could be rejected: at 0.05, fewer than six.
    """
    return sign_flip_tests([differences], alpha)[0].interval


def _random(d: Floats, sums: Floats, sizes: Floats, alpha: float, margin: float | None) -> Tested:
    """The same from the sums and sizes of random subsets (FLIPS,)."""
    total, slack = float(d.sum()), _tolerance(d)
    towards = sums * np.sign(total)
    beyond = (towards <= slack) | (towards >= abs(total) - slack)
    same = None
    if margin is not None:  # the sums of d + margin and of margin − d
        same = max(_share(sums + margin * sizes, slack), _share(margin * sizes - sums, slack))
    outside = int(np.floor(alpha * (FLIPS + 1) / 2 + 1e-9))
    means = np.sort(sums[sizes > 0] / sizes[sizes > 0])
    return Tested(
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
        from scipy import optimize  # noqa: PLC0415 - slow to import, and the server starts without

        margin = 1e-9 * max(self.high - self.low, abs(self.low), abs(self.high))
        if margin == 0:
            return self.low
        subsets = len(self.sums[0]) * len(self.sums[1])
        normal = NormalDist()
        wanted = normal.inv_cdf((rank - 0.5) / subsets)

        def off(delta: float) -> float:
            return normal.inv_cdf((self.means_up_to(delta) + 0.25) / subsets) - wanted

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


def _random_sums(columns: Floats) -> tuple[Floats, Floats]:
    """Sums (FLIPS, m) over random subsets of each column of ``columns`` (n, m), and the subsets' sizes (FLIPS,).

    Every one of the n is in a subset with probability ½. The subsets are the same in every process.
    """
    n, wide = len(columns), np.column_stack([columns, np.ones(len(columns))])
    source, parts = np.random.default_rng(n), []
    for first in range(0, FLIPS, AT_ONCE):
        rows = min(AT_ONCE, FLIPS - first)
        bits = np.unpackbits(np.frombuffer(source.bytes(rows * -(-n // 8)), np.uint8)).reshape(rows, -1)
        parts.append(bits[:, :n].astype(np.float64) @ wide)
    sums = np.concatenate(parts)
    return sums[:, :-1], sums[:, -1]
