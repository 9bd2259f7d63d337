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
PRECISION = 1e-4
"""Of the ends, in standard deviations of the differences."""
MAX_STEPS = 12


class ShiftedTest:
    """The sequential test of one comparison's differences minus a shift."""

    def __init__(self, design: Design, differences: Floats, measured: Floats) -> None:
        """Prepare the test of ``differences`` (n,), of which those with ``measured`` 0 are missing."""
        self._design, self._differences, self._measured = design, differences, measured
        self._sums = list(signed_sums(np.column_stack([differences, measured]), design))
        self._lengths = [n for n in design.looks if n <= len(differences)]
        n = self._lengths[-1]
        self._values = differences[:n][measured[:n] > 0]
        self._mean = float(self._values.mean()) if len(self._values) else 0.0
        self._deviation = float(self._values.std()) if len(self._values) else 0.0

    def interval(self, alpha: float) -> Interval | None:
        """Return the repeated interval of level 1 − ``alpha``; None if no shift can be significant.

        Its ends are accurate to a ten-thousandth of the standard deviation of the differences.
        """
        if len(self._values) < 2:
            return None
        reach = self._reach(self._mean, alpha)
        if not math.isfinite(reach):
            return None
        low, high = (self._mean + side * self._solve(side, reach, alpha) for side in (-1, 1))
        return (low, high) if math.isfinite(high - low) else None

    def _solve(self, side: int, reach: float, alpha: float) -> float:
        """Return the distance from the mean that equals the reach of a shift at this distance.

        The reach depends so little on the shift that a few fixed-point steps suffice.
        """
        for _ in range(MAX_STEPS):
            distance, reach = reach, self._reach(self._mean + side * reach, alpha)
            if not math.isfinite(reach) or abs(reach - distance) <= PRECISION * self._deviation:
                return reach
        from scipy import optimize  # noqa: PLC0415 - slow to import, and seldom needed

        def shortfall(distance: float) -> float:
            return self._reach(self._mean + side * distance, alpha) - distance

        farthest = 2 * self._deviation * len(self._values)
        root: float = optimize.brentq(shortfall, 0.0, farthest, xtol=PRECISION * self._deviation)
        return root

    def _reach(self, shift: float, alpha: float) -> float:
        """Return the distance from the mean at which t is the critical value of the test of a shift.

        It is infinite if t cannot be that large.
        """
        d = (self._differences - shift * self._measured)[:, None]
        sums = [SignedSums(*(s if s is None else s[:1] - shift * s[1:] for s in one)) for one in self._sums]
        scales = [column_scales(d[:n]) for n in self._lengths]
        last = len(self._lengths) - 1
        critical = Boundary(self._design, Family.alone(last + 1), sums, scales, alpha).at(last).value
        if critical >= math.sqrt(len(self._values)):
            return math.inf
        return critical * self._deviation / math.sqrt(len(self._values) - critical**2)
