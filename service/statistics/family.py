"""Families of comparisons: corrected p-values, and the number of seeds needed.

Reference: Holm, 1979, "A simple sequentially rejective multiple test procedure"; Schuirmann, 1987, "A comparison of the
two one-sided tests procedure" (equivalence).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

POWER = 0.8
"""Required probability of detecting the smallest effect of interest."""
MAX_SEEDS = 100_000


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number, in their order."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def min_seeds(alpha: float, comparisons: int) -> int:
    """Return the fewest pairs with which the smallest of ``comparisons`` corrected p-values can reach ``alpha``.

    The sign-flip test's smallest p is 2/2ⁿ.
    """
    return math.ceil(math.log2(2 * max(1, comparisons) / alpha) - 1e-9)


def seeds_for_power(deviation: float, effect: float, alpha: float, comparisons: int) -> int | None:
    """Return the pairs needed to detect a true mean difference ``effect`` with probability 0.8.

    The power is the paired t-test's, at Holm's strictest level and the observed standard ``deviation`` of the
    differences. None beyond 100,000.
    """
    least = min_seeds(alpha, comparisons)
    level = alpha / max(1, comparisons)
    if _power(least, deviation, effect, level) >= POWER:
        return least
    low, high = least, 2 * least
    while _power(high, deviation, effect, level) < POWER:
        low, high = high, 2 * high
        if high > MAX_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(middle, deviation, effect, level) >= POWER else (middle, high)
    return high


def _power(n: int, deviation: float, effect: float, level: float) -> float:
    if deviation == 0:
        return 1.0
    from scipy import special  # noqa: PLC0415 - slow to import; the server starts without it

    critical = special.stdtrit(n - 1, 1 - level / 2)
    shift = effect / deviation * math.sqrt(n)
    return float(1 - special.nctdtr(n - 1, shift, critical) + special.nctdtr(n - 1, shift, -critical))


def sign_test_p(wins: int, losses: int) -> float:
    """Return the exact two-sided binomial p of ``wins`` against ``losses``; ties do not count."""
    from scipy import special  # noqa: PLC0415 - slow to import; the server starts without it

    n = wins + losses
    return 1.0 if n == 0 else min(1.0, 2 * float(special.bdtr(min(wins, losses), n, 0.5)))
