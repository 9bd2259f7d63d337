"""Mean and band of a series over the seeds of a group, epoch by epoch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from service.statistics.sign_flip import Floats


@dataclass(frozen=True)
class Curve:
    """A group's mean ± one standard deviation by epoch, over ``n`` seeds; None for n = 0."""

    group: str
    epoch: list[int]
    n: list[int]
    carried: list[int]
    """Seeds among the ``n`` that had ended, and count with their last value."""
    mean: list[float | None]
    low: list[float | None]
    high: list[float | None]


class Series(NamedTuple):
    """A run's values from epoch 1 on, NaN if not finite."""

    values: Floats
    succeeded: bool = False
    """Whether the run has ended with a model: later epochs count with its last value."""
    failed: bool = False
    """Whether the run has ended without one."""


def curve(group: str, by_seed: Mapping[int, Sequence[Series]], *, every: int = 1) -> Curve:
    """Return the group's curve from the series of each seed's cells, measured every ``every`` epochs and in the last.

    Epochs between are left out: in them, only seeds that ended would count.

    The mean must not jump because a run ends: seeds that ended early count with their last value, as if their model
    were kept, and seeds with a failed run do not count at all, unless every seed has one.
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # epochs without a value become None
        mean = np.nanmean(rows, axis=0, where=finite) if length else np.empty(0)
        std = np.nanstd(rows, axis=0, ddof=1, where=finite) if length else np.empty(0)
    spread = np.where(n > 1, std, 0.0)
    epoch = np.arange(1, length + 1)
    drawn = np.flatnonzero((epoch % every == 0) | ((epoch == length) & (n > 0)))
    return Curve(
        group,
        epoch[drawn].tolist(),
        n[drawn].tolist(),
        carried[drawn].tolist(),
        _listed(mean[drawn]),
        _listed((mean - spread)[drawn]),
        _listed((mean + spread)[drawn]),
    )


def _carried_on(series: Series, length: int) -> Floats:
    """Return the values, continued with the last one if the run has succeeded."""
    if not series.succeeded or not len(series.values):
        return series.values
    return np.pad(series.values, (0, length - len(series.values)), mode="edge")


def _listed(values: Floats) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]
