"""Critical values of a group-sequential sign-flip test, look by look.

At each look, whole seeds are flipped as in ``max_t``, and the statistic of a flip is the largest t = |Σd| / √(Σd²) of
the family. A flip crosses if a comparison crosses in a direction, above or below zero, in which it has not crossed
before. The critical value is the smallest that lets at most as many flips cross as the look may spend. It depends on
the magnitudes of the differences so far and not on their signs, so by the last look the data as observed cross with
probability α at most.

Counting a comparison that crosses a flip which another has crossed before costs little, and makes critical values
monotone: those of a family are never below those of its subfamilies. Therefore comparisons can be rejected step by
step, each time with the critical values of those that are left (Romano and Wolf, 2005), and the probability of any
false rejection stays within α.

*Unspent α* carries over to the next look: all of it if the family is a single comparison. In a larger family, only what
no subfamily could have spent carries over, so that the critical values stay monotone: the remainders of rounding, and
the α of all looks before the first at which any comparison could be rejected.

*Departed comparisons* have left the study without being rejected: their later differences are unknown. Each is counted
with the largest share of flips beyond the critical value that any differences could have.

Reference: Lan and DeMets, 1983, "Discrete sequential boundaries for clinical trials"; Bentkus and Dzindzalieta, 2015,
"A tight Gaussian bound for weighted sums of Rademacher random variables" (departed comparisons).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.statistics.design import Design
from service.statistics.max_t import EXACT_UP_TO, FLIPS
from service.statistics.sign_flip import ROUNDING, Floats, random_subsets

Booleans = NDArray[np.bool_]
Indices = NDArray[np.intp]

BENTKUS = 1 / (2 * math.erfc(1.0))
"""P(|Σ s·a| > c·‖a‖) for random signs s is at most this multiple of the normal law's two-sided tail beyond c."""


TAIL = 1.0
"""Flips with smaller statistics are considered only if those above cannot spend the look's α."""


class SignedSums(NamedTuple):
    """Sums of the columns under flips at one look, each (m, flips); the first flip is the data as observed."""

    exact: Floats | None
    """Under all flips that keep the first sign; None with more than 16 seeds."""
    sampled: Floats | None
    """Under no flip and random ones; None if no look of the series needs them."""

    @property
    def statistics(self) -> Floats:
        """The sums that decide at this look."""
        if self.exact is not None:
            return self.exact
        assert self.sampled is not None
        return self.sampled


def signed_sums(columns: Floats, design: Design) -> Iterator[SignedSums]:
    """Yield the sums at every look that the ``columns`` (n seeds, m) reach."""
    n, m = columns.shape
    looks = [look for look in design.looks if look <= n]
    sampling = bool(looks) and looks[-1] > EXACT_UP_TO
    exact, sampled, first = np.zeros((m, 1)), np.zeros((m, FLIPS + 1)), 0
    for look in looks:
        if look <= EXACT_UP_TO:
            for i in range(first, look):
                value = columns[i][:, None]
                exact = exact + value if i == 0 else np.concatenate([exact + value, exact - value], axis=1)
        if sampling:
            sampled = sampled + columns[first:look].T @ _random_signs(design.max_seeds)[first:look]
        yield SignedSums(exact if look <= EXACT_UP_TO else None, sampled if sampling else None)
        first = look


@functools.lru_cache(maxsize=4)
def _random_signs(n: int) -> NDArray[np.float32]:
    """Return no flip and the random ones of n seeds as signs (n, flips)."""
    flipped = np.concatenate([np.zeros((1, n), np.uint8), *random_subsets(n, FLIPS)])
    return np.ascontiguousarray(1 - 2 * flipped.T.astype(np.float32))


@dataclass(frozen=True)
class Critical:
    """The critical value of a family at one look."""

    seeds: int
    value: float
    """A statistic above it is significant; infinite if the look cannot reject."""
    nominal_p: float
    """Share of all flips above it."""
    spendable: float
    """α that the family may have spent by this look."""
    spent: float
    """α spent by this look, or lost because it cannot carry over."""
    statistics: Floats
    """(m,): t of the data as observed, with its sign."""
    p_values: Floats
    """(m,): share of all flips in which any member's statistic reaches the comparison's."""
    crossed: NDArray[np.int_]
    """(m,): the direction in which the data as observed cross; 0 if they do not."""


@dataclass(frozen=True)
class Family:
    """Comparisons that share α."""

    members: Booleans
    """(looks, m): which comparisons are tested at each look."""
    shares: Floats
    """(looks,): share of the look's new α that the family may spend."""
    departed: NDArray[np.int_]
    """(looks,): number of comparisons that have left the study without being rejected."""

    @classmethod
    def alone(cls, looks: int) -> Family:
        """Return the family of a single comparison."""
        return cls(np.ones((looks, 1), bool), np.ones(looks), np.zeros(looks, int))


class Boundary:
    """The critical values of a family, computed look by look."""

    def __init__(
        self, design: Design, family: Family, sums: Iterable[SignedSums], scales: Sequence[Floats], alpha: float
    ) -> None:
        """Prepare the boundary from the signed sums and √(Σd²) (m,) of each look."""
        self._design, self._family, self._alpha = design, family, alpha
        self._sums, self._scales = iter(sums), scales
        comparisons = family.members.shape[1]
        self._single = comparisons == 1
        self._exact, self._sampled = _Crossings(comparisons), _Crossings(comparisons)
        self._entitled = self._spent = 0.0
        self._rejectable = False
        self._looks: list[Critical] = []

    @classmethod
    def of(cls, design: Design, columns: Floats, family: Family, alpha: float) -> Boundary:
        """Prepare the boundary of differences (n seeds, m comparisons)."""
        scales = [column_scales(columns[:n]) for n in design.looks if n <= len(columns)]
        return cls(design, family, signed_sums(columns, design), scales, alpha)

    def at(self, look: int) -> Critical:
        """Return the critical value at the look of this index."""
        while len(self._looks) <= look:
            self._looks.append(self._next())
        return self._looks[look]

    def _next(self) -> Critical:
        k = len(self._looks)
        seeds, members = self._design.looks[k], self._family.members[k]
        sums, slack = next(self._sums), 4 * ROUNDING * math.sqrt(seeds)
        t = sums.statistics / self._scales[k][:, None]
        largest = np.abs(t[members]).max(axis=0, initial=0.0)
        budget = self._budget(k, len(largest))
        value, crossings = self._critical_value(k, sums, t, largest, budget, slack)
        self._spend(k, sums, t[members], slack, crossings, budget)
        observed = t[:, 0]
        return Critical(
            seeds=seeds,
            value=value,
            nominal_p=float((largest > value).mean()),
            spendable=self._entitled,
            spent=self._spent,
            statistics=observed,
            p_values=np.array([(largest >= abs(one) - slack).mean() for one in observed]),
            crossed=np.where(members & (np.abs(observed) > value), np.sign(observed), 0).astype(int),
        )

    def _critical_value(
        self, k: int, sums: SignedSums, t: Floats, largest: Floats, budget: int, slack: float
    ) -> tuple[float, int]:
        """Return the critical value of look ``k`` and the number of flips that cross; record them."""
        crossings, members = self._sampled if sums.exact is None else self._exact, self._family.members[k]
        crossings.stretch(t.shape[1])
        fresh = crossings.largest_fresh(t, members, np.flatnonzero(largest > TAIL))
        if np.count_nonzero(fresh >= 0) <= budget:
            fresh = crossings.largest_fresh(t, members, np.arange(t.shape[1]))
        value = _critical_value(fresh, budget, int(self._family.departed[k]) * t.shape[1]) + slack
        crossings.add(t, value, members)
        if sums.exact is not None and sums.sampled is not None:
            self._sampled.stretch(sums.sampled.shape[1])
            self._sampled.add(sums.sampled / self._scales[k][:, None], value, members)
        return value, int((fresh > value).sum())

    def _budget(self, k: int, flips: int) -> int:
        """Return how many flips may cross at look ``k``."""
        looks = self._design.looks
        new = (looks[k] - (looks[k - 1] if k else 0)) / looks[-1]
        self._entitled += float(self._family.shares[k]) * self._alpha * new
        return math.floor((self._entitled - self._spent) * flips + 1e-9)

    def _spend(self, k: int, sums: SignedSums, t: Floats, slack: float, crossings: int, budget: int) -> None:
        """Record the α that cannot carry over to the next look."""
        flips = t.shape[1]
        if self._single:
            self._spent += crossings / flips
        elif sums.exact is None or self._family.shares[k] < 1 or self._family.departed[k]:
            self._spent = self._entitled
        else:
            if not self._rejectable:
                sizes = np.abs(t)
                ties = (sizes >= sizes.max(axis=1, keepdims=True) - slack).sum(axis=1)
                self._rejectable = bool((ties <= self._entitled * flips + 1e-9).any())
            self._spent += budget / flips if self._rejectable else 0.0


class _Crossings:
    """For each flip, the comparisons that have crossed, by direction."""

    def __init__(self, comparisons: int) -> None:
        self.up = np.zeros((comparisons, 1), bool)
        self.down = np.zeros((comparisons, 1), bool)

    def stretch(self, flips: int) -> None:
        """Adapt to more flips, each of which continues an earlier one."""
        times = flips // self.up.shape[1]
        if times > 1:
            self.up, self.down = np.tile(self.up, times), np.tile(self.down, times)

    def largest_fresh(self, t: Floats, members: Booleans, flips: Indices) -> Floats:
        """Return the largest |t| of members that have not crossed in their direction before; −1 without any."""
        t, up, down = (array[:, flips][members] for array in (t, self.up, self.down))
        fresh: Floats = np.where(np.where(t > 0, up, down), -1.0, np.abs(t)).max(axis=0, initial=-1.0)
        return fresh

    def add(self, t: Floats, critical: float, members: Booleans) -> None:
        """Record the crossings of one look."""
        flips = np.flatnonzero((np.abs(t) > critical).any(axis=0))
        self.up[:, flips] |= (t[:, flips] > critical) & members[:, None]
        self.down[:, flips] |= (t[:, flips] < -critical) & members[:, None]


def column_scales(columns: Floats) -> Floats:
    """Return √(Σd²) of every column, and 1 for columns of zeros."""
    scales = np.linalg.norm(columns, axis=0)
    return np.where(scales > 0, scales, 1.0)


def _critical_value(largest: Floats, budget: int, departed: int) -> float:
    """Return the smallest value that at most ``budget`` flips exceed.

    ``departed`` is the number of flips times that of departed comparisons.
    """
    if budget <= 0:
        return math.inf
    top = -np.sort(-np.partition(largest, -budget - 1)[-budget - 1 :])
    if departed:
        from scipy import special  # noqa: PLC0415 - slow to import; the server starts without it

        unknown = departed * BENTKUS * special.erfc(np.maximum(top, 0) / math.sqrt(2))
        within = np.flatnonzero(np.arange(budget + 1) + unknown <= budget)
        return max(0.0, float(top[within[-1]])) if len(within) else math.inf
    return max(0.0, float(top[-1]))
