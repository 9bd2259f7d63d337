"""Histories as other programs take them: the values of every epoch, with names in groups and a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import accumulate
from typing import Any, NamedTuple

from fitwell.history import History
from fitwell.run import Run


class Point(NamedTuple):
    """The values of an epoch."""

    epoch: int
    time: float
    """Unix time in seconds at which the epoch ended."""
    values: dict[str, float]
    """By name, in groups of a split each: ``val/loss``. Missing values are left out."""


def points(run: Run[Any], history: History) -> Iterator[Point]:
    """Yield the values of every epoch, nonfinite ones included."""
    columns = history.columns()
    del columns["epoch"]
    for row, (epoch, time) in enumerate(zip(history.epoch, epoch_end_times(run, history), strict=True)):
        values = {name.replace(".", "/"): column[row] for name, column in columns.items() if column[row] is not None}
        yield Point(epoch, time, values)


def epoch_end_times(run: Run[Any], history: History) -> list[float]:
    """Return the Unix time in seconds at which each epoch ended, ignoring pauses of the run."""
    start = datetime.fromisoformat(run.started_at or run.created_at).timestamp()
    durations = history.series.get("seconds", [0.0] * len(history.epoch))
    return [start + elapsed for elapsed in accumulate(seconds or 0.0 for seconds in durations)]
