"""The noise of loss curves, estimated from second differences.

``diagnosis`` explains the estimates and gives their references.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from service.statistics.sign_flip import Floats
from service.statistics.thresholds import Thresholds

LAGS = 1, 2, 3
"""Lags of the differences that noise and its correlation are estimated from."""


def correlated_noise(values: Floats, limits: Thresholds) -> tuple[float, float]:
    """Estimate σ·√((1 + ρ)/(1 − ρ)) and ρ for noise that is AR(1): a mean's noise times the root of its length.

    The second difference at lag k, y(t) − 2·y(t + k) + y(t + 2k), has the variance σ²·(6 − 8·ρᵏ + 2·ρ²ᵏ). ρ solves the
    equation for the ratio of the variances at lags 2 and 3 to that at lag 1, which grows with ρ.
    """
    values = _settled(values, limits)
    squares = [
        _square(values[2 * lag :] - 2 * values[lag:-lag] + values[: -2 * lag], limits)
        for lag in LAGS
        if len(values) >= 2 * lag + 2
    ]
    if not squares[0]:
        return 0.0, 0.0
    grid = np.linspace(0, limits.correlation_cap, 161)
    factors = [6 - 8 * grid**lag + 2 * grid ** (2 * lag) for lag in LAGS[: len(squares)]]
    ratios = sum(factors[1:], np.zeros_like(grid)) / factors[0]
    index = min(int(np.searchsorted(ratios, sum(squares[1:]) / squares[0])), len(grid) - 1)
    correlation, factor = float(grid[index]), float(factors[0][index])
    return math.sqrt(squares[0] / factor * (1 + correlation) / (1 - correlation)), correlation


def error_of_difference(noise: float, correlation: float, window: int) -> float:
    """Return the standard error of the difference between the means of two adjacent windows.

    ``noise`` and ``correlation`` are those of ``correlated_noise``. Adjacent windows share part of AR(1) noise, so the
    error is smaller than that of independent means.
    """
    variance, rest = noise**2 * (1 - correlation) / (1 + correlation), 1 - correlation
    decay = correlation * (1 - correlation**window) / rest
    of_mean = (1 + 2 * (correlation - decay / window) / rest) / window
    shared = decay * (1 - correlation**window) / rest / window**2
    return math.sqrt(2 * variance * (of_mean - shared))


def _settled(values: Floats, limits: Thresholds) -> Floats:
    """Return the curve without the steep fall of its first epochs, but never less than two thirds of it."""
    lowest = values.min()
    first = int(np.argmax(values <= lowest + limits.settled_share * (values[0] - lowest)))
    return values[min(first, len(values) // 3) :]


def _square(differences: Floats, limits: Thresholds) -> float:
    """Return the mean square: the smaller of two estimates, from all differences and from all but the largest."""
    sizes = np.sort(np.abs(differences))
    smaller = sizes[: max(1, len(sizes) - math.ceil(limits.steep_share * len(sizes)))]
    share = len(smaller) / len(sizes)
    if share == 1:
        return float(np.mean(np.square(sizes)))
    end = NormalDist().inv_cdf((1 + share) / 2)
    density = math.exp(-end * end / 2) / math.sqrt(2 * math.pi)
    variance = 1 - 2 * end * density / share  # of a standard normal variable truncated at ±end
    return float(min(np.mean(np.square(sizes)), np.mean(np.square(smaller)) / variance))
