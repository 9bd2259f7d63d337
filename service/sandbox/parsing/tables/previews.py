"""The preview of a table, and the statistics of its columns; all of the training part, except the class counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from service.sandbox.parsing.previews import COLUMNS, ROWS, class_counts
from service.sandbox.parsing.sources import Values
from service.sandbox.parsing.splits import Split
from service.sandbox.parsing.tables.columns import CODED, Column
from service.sandbox.parsing.targets import Target

MAX_COUNTS = 20
"""Levels whose rows are counted in the statistics: the most frequent ones."""
HUGE, UNIT = 2.0**500, 2.0**700
"""Squares of numbers beyond HUGE overflow; they are divided by UNIT, a power of two, so exactly."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def preview_of(inputs: Sequence[Column], name: str, target: Target, split: Split) -> dict[str, Any]:
    """Return the preview as JSON values."""
    first = split.train[:ROWS]
    columns = inputs[:COLUMNS]
    cells = [[value_of(column, row) for column in columns] for row in first]
    numbers = [column for column in columns if column.type == "number"]
    features = [{"name": column.name, **statistics_of(column, split.train)} for column in numbers]
    return {
        "columns": [column.name for column in inputs],
        "target": name,
        "class_counts": class_counts(target, split),
        "rows": [{"x": x, "y": target.of(row)} for x, row in zip(cells, first, strict=True)],
        "features": [feature for feature in features if "mean" in feature],
        "pixels": None,
        "picture": None,
    }


def value_of(column: Column, row: int) -> float | str | None:
    """Return a value as JSON: a number, a text, a date in ISO 8601, or None if it is missing."""
    value = column.values[row]
    if column.missing[row]:
        return None
    if column.type == "date":
        return iso_date(float(value), has_time=column.has_time)
    if column.type not in CODED:
        return float(value)
    return column.levels[value] if value >= 0 else None


def iso_date(seconds: float, *, has_time: bool) -> str:
    """Return a date in ISO 8601."""
    moment = EPOCH + timedelta(seconds=seconds)
    return moment.isoformat() if has_time else moment.date().isoformat()


def all_rows(column: Column) -> dict[str, Any]:
    """Return the range of a column of numbers, test rows included, and whether all are whole; empty without values.

    Only whether the column can be tokens is decided by it.
    """
    known = column.values[~np.isnan(column.values)]
    if not len(known):
        return {}
    return {
        "min": float(known.min()),
        "max": float(known.max()),
        "whole": bool((known == np.trunc(known)).all()),
    }


def statistics_of(column: Column, rows: Values) -> dict[str, Any]:
    """Return statistics of a column's rows: of numbers, dates, or the most frequent levels."""
    values = column.values[rows]
    if column.type in CODED:
        counts = np.bincount(values[values >= 0], minlength=len(column.levels))
        most = np.argsort(-counts, kind="stable")[:MAX_COUNTS]
        return {
            "distinct": len(column.levels),
            "counts": [{"name": column.levels[i], "rows": int(counts[i])} for i in most.tolist()],
        }
    known = values[~np.isnan(values)]
    if not len(known):
        return {}
    low, high = float(known.min()), float(known.max())
    if column.type == "date":
        return {"min": iso_date(low, has_time=column.has_time), "max": iso_date(high, has_time=column.has_time)}
    unit = 1.0 if max(-low, high) < HUGE else UNIT
    mean, std = float((known / unit).mean()) * unit, float((known / unit).std()) * unit
    return {"min": low, "max": high, "mean": mean, "std": std}
