"""Reliability of a classifier's probabilities: how often it is right, for each confidence.

The rows' *confidence* is the largest probability, and a *hit* a row whose most probable class is its own. Confidences
are put into bins of equal width, of which each includes its upper edge. In bin k of n_k rows, f_k is the mean
confidence and o_k the accuracy; f and o are those of a row (o is 1 for a hit), and ō is the accuracy of all n rows.
A row of weight w counts as w rows in all of them, and intervals are those of the effective number, (Σ w)² / Σ w².

    ECE = Σ n_k |o_k − f_k| / n        MCE = max |o_k − f_k|
    Brier score of the top label = Σ (f − o)² / n = reliability − resolution + uncertainty + within_bins
        reliability = Σ n_k (f_k − o_k)² / n      resolution = Σ n_k (o_k − ō)² / n      uncertainty = ō (1 − ō)
        within_bins = Σ (f − f_k)² / n − 2 Σ (f − f_k)(o − o_k) / n

Murphy's identity has no last term, because his forecasts are equal within a bin; the term makes it exact for others.

An ECE is above 0 even for a calibrated model, because it adds absolute values of noisy differences. So the ECE of a
model with the same confidences that is right with exactly these probabilities is simulated (consistency resampling).

Reference: Murphy, 1973, "A new vector partition of the probability score"; Stephenson, Coelho and Jolliffe, 2008, "Two
extra components in the Brier score decomposition"; Kish, 1965, "Survey sampling" (the effective number); Wilson, 1927,
"Probable inference, the law of succession, and statistical inference" (the interval); Bröcker and Smith, 2007,
"Increasing the reliability of reliability diagrams" and Vaicenavicius et al., 2019, "Evaluating model calibration in
classification" (consistency resampling).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DRAWS = 199
"""Simulations of a calibrated model; the smallest p is 1/200."""
LEVEL = 0.95
"""Of the intervals."""
ROUNDING = 1e-9
"""ECEs that differ by less are equal: rows with equal hits have the same one, but for the order of additions."""


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The rows with a confidence above ``low`` up to ``high``; an empty bin has no means."""

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None
    ci: tuple[float, float] | None
    """Wilson's interval of the accuracy."""


@dataclass(frozen=True, kw_only=True)
class Decomposition:
    """The Brier score of the top label and its terms."""

    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within_bins: float


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """How far the confidences of ``rows`` rows can be trusted."""

    rows: int
    accuracy: float
    confidence: float
    ece: float
    mce: float
    ece_if_calibrated: float
    """The mean ECE of a calibrated model with these confidences."""
    p_calibrated: float
    """How often the ECE of a calibrated model with these confidences is at least this large."""
    top_label: Decomposition
    bins: Sequence[Bin]


def reliability(confidence: Floats, hit: NDArray[np.bool_], bins: int, weights: Floats | None = None) -> Reliability:
    """Return the reliability of rows with these confidences (n,) and hits (n,), in ``bins`` bins of equal width.

    ``weights`` (n,) say how many rows each row counts as.
    """
    weights = np.ones(len(confidence)) if weights is None else weights / weights.mean()
    rows = len(confidence)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    sizes = np.bincount(place, weights, bins)
    filled = np.where(counts > 0, sizes, 1)
    mean = np.bincount(place, weights * confidence, bins) / filled
    accuracy = np.bincount(place, weights * hit, bins) / filled
    gaps = np.abs(accuracy - mean)
    ece = float(gaps @ sizes / rows)
    simulated = _simulated_eces(confidence, place, bins, weights)
    effective = np.square(filled) / np.where(counts > 0, np.bincount(place, np.square(weights), bins), 1)
    return Reliability(
        rows=rows,
        accuracy=float(np.average(hit, weights=weights)),
        confidence=float(np.average(confidence, weights=weights)),
        ece=ece,
        mce=float(gaps.max()),
        ece_if_calibrated=float(simulated.mean()),
        p_calibrated=float((1 + (simulated >= ece - ROUNDING).sum()) / (1 + DRAWS)),
        top_label=_decomposition(confidence, hit.astype(np.float64), mean[place], accuracy[place], weights),
        bins=[
            Bin(
                low=k / bins,
                high=(k + 1) / bins,
                count=int(count),
                confidence=float(mean[k]) if count else None,
                accuracy=float(accuracy[k]) if count else None,
                ci=_wilson(float(accuracy[k]), float(effective[k])) if count else None,
            )
            for k, count in enumerate(counts)
        ],
    )


def _simulated_eces(confidence: Floats, place: NDArray[np.int64], bins: int, weights: Floats) -> Floats:
    """Return the ECEs (DRAWS,) of rows that are hits with exactly the probability of their confidence."""
    rng, rows = np.random.default_rng(0), len(confidence)
    gaps = [np.bincount(place, weights * ((rng.random(rows) < confidence) - confidence), bins) for _ in range(DRAWS)]
    eces: Floats = np.abs(gaps).sum(axis=1) / rows
    return eces


def _decomposition(f: Floats, o: Floats, f_k: Floats, o_k: Floats, weights: Floats) -> Decomposition:
    """Return the terms, given each row's confidence and hit, their means in the row's bin, and weights."""
    mean = partial(np.average, weights=weights)
    overall = mean(o)
    return Decomposition(
        brier=float(mean(np.square(f - o))),
        reliability=float(mean(np.square(f_k - o_k))),
        resolution=float(mean(np.square(o_k - overall))),
        uncertainty=float(overall * (1 - overall)),
        within_bins=float(mean(np.square(f - f_k)) - 2 * mean((f - f_k) * (o - o_k))),
    )


def _wilson(share: float, count: float) -> tuple[float, float]:
    """Return Wilson's interval of a share of ``count`` rows."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    middle = share + z * z / (2 * count)
    half = z * math.sqrt(max(share * (1 - share), 0.0) / count + (z / (2 * count)) ** 2)
    low, high = ((middle + side) / (1 + z * z / count) for side in (-half, half))
    return max(low, 0.0), min(high, 1.0)
