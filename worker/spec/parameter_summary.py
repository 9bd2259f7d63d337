"""Summary of a parameter's values: norm, exact zeros and a histogram."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

BINS = 40
"""Of a histogram, from −m to m with m the largest magnitude; an odd function would fill them evenly on both sides."""


def summary_of(name: str, values: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Return a parameter as plain values: shape, norm, share of exact zeros, moments, histogram.

    A parameter with values that are not finite has no moments and no histogram, but says how many those are.
    """
    flat = values.reshape(-1).astype(np.float64)
    summary = {"name": name, "shape": list(values.shape), "zeros": float((flat == 0).mean())}
    infinite = int((~np.isfinite(flat)).sum())
    if infinite:
        return {**summary, "nonfinite": infinite, "norm": None, "mean": None, "std": None, "histogram": None}
    reach = float(np.abs(flat).max()) or 1.0
    counts, _ = np.histogram(flat, bins=BINS, range=(-reach, reach))
    return {
        **summary,
        "nonfinite": 0,
        "norm": math.sqrt(float(np.square(flat).sum())),
        "mean": float(flat.mean()),
        "std": float(flat.std()),
        "histogram": {"low": -reach, "high": reach, "counts": counts.tolist()},
    }
