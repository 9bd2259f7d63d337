"""Repeated confidence intervals: intervals of the mean difference that hold at every look together.

An interval contains the shifts δ for which the sequential test of d − δ, with its own critical values, is not
significant at the current look. The test of the true difference is significant at any look with probability α at most,
so all intervals of a comparison contain the true difference together with probability 1 − α, whenever the study stops.

Reference: Jennison and Turnbull, 1989, "Interim analyses: the repeated confidence interval approach".
"""

from __future__ import annotations

import math

import numpy as np

from service.statistics.boundary import Boundary, Family, SignedSums, column_scales, signed_sums
from service.statistics.design import Design
from service.statistics.sign_flip import Floats

Interval = tuple[float, float]


class ShiftedTest:
    """The sequential test of one comparison's differences minus a shift."""

    def __init__(self, design: Design, differences: Floats, measured: Floats) -> None:
        """Prepare the test of ``differences`` (n,), of which those with ``measured`` 0 are missing."""
        self._design, self._differences, self._measured = design, differences, measured
        self._sums = list(signed_sums(np.column_stack([differences, measured]), design))
        self._lengths = [n for n in design.looks if n <= len(differences)]
        n = self._lengths[-1]
        self._values = differences[:n][measured[:n] > 0]

    def excess(self, shift: float, alpha: float) -> float:
        """Return how far the statistic of the last look is beyond its critical value; negative if it is not."""
        d = (self._differences - shift * self._measured)[:, None]
        sums = [SignedSums(*(s if s is None else s[:1] - shift * s[1:] for s in one)) for one in self._sums]
        scales = [column_scales(d[:n]) for n in self._lengths]
        looks = len(self._lengths)
        critical = Boundary(self._design, Family.alone(looks), sums, scales, alpha).at(looks - 1)
        statistic = abs(float(critical.statistics[0]))
        return statistic - critical.value if math.isfinite(critical.value) else -1.0

    def interval(self, alpha: float) -> Interval | None:
        """Return the repeated interval of level 1 − ``alpha``; None if no shift can be significant."""
        if len(self._values) < 2:
            return None
        mean, margin = float(self._values.mean()), 1e-6 * float(np.ptp(self._values))
        if margin == 0:
            margin = 1e-9 * max(abs(mean), 1e-300)
        ends = []
        for end, side in ((float(self._values.min()), -margin), (float(self._values.max()), margin)):
            outer = end + side
            if self.excess(outer, alpha) <= 0:
                return None
            ends.append(self._root(mean, outer, alpha, margin))
        return ends[0], ends[1]

    def _root(self, mean: float, outer: float, alpha: float, margin: float) -> float:
        from scipy import optimize  # noqa: PLC0415 - slow to import; the server starts without it

        root: float = optimize.brentq(self.excess, mean, outer, args=(alpha,), xtol=margin)
        return root
