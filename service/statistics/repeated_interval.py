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
MAX_STEPS = 6
FARTHEST = 1000.0
"""Distance from the mean, in standard deviations, at which the search ends."""


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
        if self._deviation == 0:  # every other shift leaves equal differences, the most significant ones
            return (self._mean, self._mean) if math.isfinite(self._reach(self._mean + 1, alpha)) else None
        reach = self._reach(self._mean, alpha)
        if not math.isfinite(reach):
            return None
        low, high = (self._mean + side * self._solve(side, reach, alpha) for side in (-1, 1))
        return (low, high) if math.isfinite(high - low) else None

    def _solve(self, side: int, reach: float, alpha: float) -> float:
        """Return the distance from the mean beyond which shifts on one side are significant.

        A shift is significant if it is farther from the mean than its reach, which hardly depends on the shift: a few
        fixed-point steps lead to where distance and reach are equal. With few seeds they are equal over a range, in
        which the data as observed keep their rank among the flips; its far end is bracketed and bisected.
        """
        precision = PRECISION * self._deviation or PRECISION
        inside, outside = 0.0, reach
        for _ in range(MAX_STEPS):
            if not math.isfinite(outside) or abs(outside - inside) <= precision:
                break
            inside, outside = outside, self._reach(self._mean + side * outside, alpha)
        outside, step = inside + precision, precision
        while self._reach(self._mean + side * outside, alpha) >= outside:
            step *= 4
            inside, outside = outside, outside + step
            if step > FARTHEST * (self._deviation or abs(self._mean) or 1.0):
                return math.inf
        while outside - inside > precision * 1.5:
            middle = (inside + outside) / 2
            if self._reach(self._mean + side * middle, alpha) >= middle:
                inside = middle
            else:
                outside = middle
        return outside

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
