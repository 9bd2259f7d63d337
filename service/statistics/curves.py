"""Mean and band of a series over the seeds of a group, epoch by epoch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from service.statistics.sign_flip import Floats

Band = Literal["std", "quartiles"]
"""Mean ± one standard deviation, or the quartiles."""
UNLIMITED = (-math.inf, math.inf)


@dataclass(frozen=True)
class Curve:
    """A group's mean and band by epoch, over ``n`` seeds; None for n = 0."""

    group: str
    epoch: list[int]
    n: list[int]
    carried: list[int]
    """Seeds among the ``n`` that had ended, and count with their last value."""
    mean: list[float | None]
    low: list[float | None]
    high: list[float | None]
    median: list[float | None] | None = None
    """Only with a band of quartiles."""


class Series(NamedTuple):
    """A run's values from epoch 1 on, NaN if not finite."""

    values: Floats
    succeeded: bool = False
    """Whether the run has ended with a model: later epochs count with its last value."""
    failed: bool = False
    """Whether the run has ended without one."""


class _Statistics(NamedTuple):
    """Statistics over seeds, by epoch."""

    mean: Floats
    low: Floats
    high: Floats
    median: Floats | None


def curve(
    group: str,
    by_seed: Mapping[int, Sequence[Series]],
    *,
    every: int = 1,
    band: Band = "std",
    limits: tuple[float, float] = UNLIMITED,
) -> Curve:
    """Return the group's curve from the series of each seed's cells, measured every ``every`` epochs and in the last.

    Epochs between are left out: in them, only seeds that ended would count.

    The mean must not jump because a run ends: seeds that ended early count with their last value, as if their model
    were kept, and seeds with a failed run do not count at all, unless every seed has one.

    A band of standard deviations is cut to the ``limits`` of the metric: no loss is negative.
    """
    counted = {seed: cells for seed, cells in by_seed.items() if not any(cell.failed for cell in cells)} or by_seed
    length = max((len(cell.values) for cells in counted.values() for cell in cells), default=0)
    rows, ended = np.full((len(counted), length), np.nan), np.zeros((len(counted), length), bool)
    for row, after_end, cells in zip(rows, ended, counted.values(), strict=True):
        filled = [_carried_on(cell, length) for cell in cells]
        shortest = min(map(len, filled))
        row[:shortest] = np.mean([values[:shortest] for values in filled], axis=0)
        after_end[min(len(cell.values) for cell in cells) : shortest] = True
    finite = np.isfinite(rows)
    n = finite.sum(axis=0)
    carried = (finite & ended).sum(axis=0)
    epoch = np.arange(1, length + 1)
    drawn = np.flatnonzero((epoch % every == 0) | ((epoch == length) & (n > 0)))
    values = _statistics(rows[:, drawn], band, limits)
    return Curve(
        group,
        epoch[drawn].tolist(),
        n[drawn].tolist(),
        carried[drawn].tolist(),
        _listed(values.mean),
        _listed(values.low),
        _listed(values.high),
        None if values.median is None else _listed(values.median),
    )


def _statistics(rows: Floats, band: Band, limits: tuple[float, float]) -> _Statistics:
    """Return the statistics of ``rows`` (seeds, epochs) by epoch, over values that are finite."""
    finite = np.isfinite(rows)
    if not rows.size:
        nothing = np.full(rows.shape[1], np.nan)
        return _Statistics(nothing, nothing, nothing, nothing if band == "quartiles" else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # epochs without a value become None
        mean = np.nanmean(rows, axis=0, where=finite)
        if band == "quartiles":
            low, median, high = np.nanquantile(np.where(finite, rows, np.nan), (0.25, 0.5, 0.75), axis=0)
            return _Statistics(mean, low, high, median)
        spread = np.where(finite.sum(axis=0) > 1, np.nanstd(rows, axis=0, ddof=1, where=finite), 0.0)
    return _Statistics(mean, np.maximum(mean - spread, limits[0]), np.minimum(mean + spread, limits[1]), None)


def _carried_on(series: Series, length: int) -> Floats:
    """Return the values, continued with the last one if the run has succeeded."""
    if not series.succeeded or not len(series.values):
        return series.values
    return np.pad(series.values, (0, length - len(series.values)), mode="edge")


def _listed(values: Floats) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]
