"""Families of comparisons: corrected p-values.

Reference: Holm, 1979, "A simple sequentially rejective multiple test procedure"; Schuirmann, 1987, "A comparison of the
two one-sided tests procedure" (equivalence).
"""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number, in their order."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def sign_test_p(wins: int, losses: int) -> float:
    """Return the exact two-sided binomial p of ``wins`` against ``losses``; ties do not count."""
    from scipy import special  # noqa: PLC0415 - slow to import; the server starts without it

    n = wins + losses
    return 1.0 if n == 0 else min(1.0, 2 * float(special.bdtr(min(wins, losses), n, 0.5)))
