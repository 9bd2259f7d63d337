"""Evidence against a power law: residuals that the noise of the replicates does not explain, and a cost that rises."""

from __future__ import annotations

import math

import numpy as np

from service.statistics.power_law import EXPONENTS, Law, SizedCosts, derivatives_at
from service.statistics.sign_flip import Floats


def p_of_misfit(data: SizedCosts, law: Law) -> float:
    """Return p that the residuals have mean zero, by Student's t of each size with Bonferroni's correction.

    Parameters at a bound are not free: the law does not continue beyond it.
    """
    derivatives = derivatives_at(data, law)
    free = [law.a > 0, law.beta > 0, law.beta > 0 and EXPONENTS[0] < law.c < EXPONENTS[-1]]
    scale = 1 / np.sqrt(data.variances)
    tangent = np.linalg.qr(scale[:, None] * derivatives[:, free]).Q
    residuals = scale * (data.costs - law.at(data.x))
    residuals -= residuals @ tangent @ tangent.T
    return min(1.0, len(data.x) * float(_two_sided_p(residuals).min()))


def rise_after(data: SizedCosts, alpha: float) -> int | None:
    """Return the index of the size after which the cost rises most significantly; None if it nowhere does."""
    steps = np.diff(data.costs, axis=1)
    p = np.where(steps.mean(0) > 0, _two_sided_p(steps) / 2, 1.0)
    worst = int(p.argmin())
    return worst if p[worst] * len(p) <= alpha else None


def _two_sided_p(columns: Floats) -> Floats:
    """Return the p-values of Student's t for mean zero of each column (R, K)."""
    from scipy import special  # noqa: PLC0415 - slow to import; the server starts without it

    rows = len(columns)
    mean, error = columns.mean(0), columns.std(0, ddof=1) / math.sqrt(rows)
    t = np.abs(mean) / np.maximum(error, np.finfo(float).tiny)
    return np.where(np.isclose(mean, 0, atol=1e-12), 1.0, 2 * special.stdtr(rows - 1, -t))
