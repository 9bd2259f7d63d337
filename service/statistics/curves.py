"""Mean and band of a series over the seeds of a group, epoch by epoch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from service.statistics.sign_flip import Floats


@dataclass(frozen=True)
class Curve:
    """A group's mean ± one standard deviation by epoch, over the ``n`` seeds that have it; None for n = 0."""

    group: str
    epoch: list[int]
    n: list[int]
    mean: list[float | None]
    low: list[float | None]
    high: list[float | None]


def curve(group: str, by_seed: Mapping[int, Sequence[Floats]]) -> Curve:
    """Return the group's curve from ``by_seed``: the series of each seed's cells from epoch 1, NaN if not finite."""
    length = max((len(series) for cells in by_seed.values() for series in cells), default=0)
    rows = np.full((len(by_seed), length), np.nan)
    for row, cells in zip(rows, by_seed.values(), strict=True):
        shortest = min(map(len, cells))
        row[:shortest] = np.mean([series[:shortest] for series in cells], axis=0)
    finite = np.isfinite(rows)
    n = finite.sum(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # epochs without a value become None
        mean = np.nanmean(rows, axis=0, where=finite) if length else np.empty(0)
        std = np.nanstd(rows, axis=0, ddof=1, where=finite) if length else np.empty(0)
    spread = np.where(n > 1, std, 0.0)
    return Curve(
        group, list(range(1, length + 1)), n.tolist(), _listed(mean), _listed(mean - spread), _listed(mean + spread)
    )


def _listed(values: Floats) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]
