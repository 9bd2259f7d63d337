"""The permutation importance of columns, summarized over the replicates of an arm.

Every replicate trained a model of its own. The importance of a column to it is a paired difference: the metric of the
same model on the same rows, with the column permuted and as it is. So its mean over replicates has the interval of the
sign-flip test, which covers what the replicates differ in, and not the choice of the rows.

Reference: Fisher, Rudin and Dominici, 2019, "All models are wrong, but many are useful: learning a variable's
importance by studying an entire class of prediction models simultaneously".
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from service.statistics.pairing import Measurement, State
from service.statistics.summaries import Summary, summarize, values_by_seed

Place = tuple[int, str]
"""The replicate and the cell of a run."""


@dataclass(frozen=True)
class RunImportance:
    """The importance of columns to one run's model."""

    value: float
    """The metric of the rows as they are."""
    columns: Mapping[str, float]
    """How much worse it is if a column is permuted: the mean over permutations."""


@dataclass(frozen=True)
class ColumnSummary:
    """The importance of a column over the replicates of an arm."""

    column: str
    summary: Summary
    positive: float | None
    """Share of the replicates in which the metric got worse."""


@dataclass(frozen=True)
class ArmImportance:
    """The importance of the columns of an arm."""

    value: Summary
    """The metric of the rows as they are."""
    columns: Sequence[ColumnSummary]
    """The most important one first, up to the limit."""
    column_count: int


def summarize_importance(
    arm: str,
    runs: Mapping[Place, RunImportance | State],
    *,
    alpha: float,
    expected: Collection[int],
    max_columns: int,
) -> ArmImportance:
    """Summarize the importance of each column over the replicates of an arm.

    ``runs`` has the state of runs that were not measured. A replicate with several cells (folds, or seeds of a split)
    counts if all were measured, by their mean. A figure that is undefined for a run is missing there.
    """
    columns = list(dict.fromkeys(name for one in runs.values() if not isinstance(one, str) for name in one.columns))
    own = [_measurement(arm, place, one, None) for place, one in runs.items()]
    (value,) = summarize(own, groups=[arm], alpha=alpha, seeds=expected)
    measurements = [_measurement(column, place, one, column) for column in columns for place, one in runs.items()]
    by_seed = {column: list(seeds.values()) for column, seeds in values_by_seed(measurements, columns).items()}
    columns.sort(key=lambda column: -np.mean(by_seed[column]) if by_seed[column] else math.inf)
    listed = set(columns[:max_columns])
    summaries = summarize(
        [one for one in measurements if one.group in listed], groups=columns[:max_columns], alpha=alpha, seeds=expected
    )
    return ArmImportance(
        value=value,
        columns=[ColumnSummary(one.id, one, _share_positive(by_seed[one.id])) for one in summaries],
        column_count=len(columns),
    )


def _measurement(group: str, place: Place, run: RunImportance | State, column: str | None) -> Measurement:
    """Return a column's importance to a run as a measurement of ``group``; the metric itself for None."""
    if isinstance(run, str):
        return Measurement(group, *place, run)
    value = run.value if column is None else run.columns.get(column, math.nan)
    return Measurement(group, *place, *(("measured", value) if math.isfinite(value) else ("missing", math.nan)))


def _share_positive(values: Sequence[float]) -> float | None:
    return sum(value > 0 for value in values) / len(values) if values else None
