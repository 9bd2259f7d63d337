"""Mean and band of a series over the seeds of a group, epoch by epoch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from service.statistics.sign_flip import Floats


@dataclass(frozen=True)
class Curve:
    """A group's mean ± one standard deviation; ``n`` seeds have the epoch. Values are null where there is none."""

    group: str
    epoch: list[int]
    n: list[int]
    mean: list[float | None]
    low: list[float | None]
    high: list[float | None]


def curve(group: str, by_seed: Mapping[int, Sequence[Floats]]) -> Curve:
    """``by_seed``: the series of a seed's cells, from epoch 1 on, NaN where a value is not finite."""
    length = max((len(series) for cells in by_seed.values() for series in cells), default=0)
    rows = np.full((len(by_seed), length), np.nan)
    for row, cells in zip(rows, by_seed.values(), strict=True):
        shortest = min(map(len, cells))
        row[:shortest] = np.mean([series[:shortest] for series in cells], axis=0)
    known = np.isfinite(rows)
    n = known.sum(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # epochs that nobody has are null
        mean = np.nanmean(rows, axis=0, where=known) if length else np.empty(0)
        std = np.nanstd(rows, axis=0, ddof=1, where=known) if length else np.empty(0)
    spread = np.where(n > 1, std, 0.0)
    return Curve(
        group, list(range(1, length + 1)), n.tolist(), _plain(mean), _plain(mean - spread), _plain(mean + spread)
    )


def _plain(values: Floats) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]
