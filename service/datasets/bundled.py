"""The columns of tables that come with the package, described like those of uploads."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from service.sandbox.parsing.options import ColumnRole
from service.sandbox.parsing.tables.columns import Column
from service.sandbox.parsing.tables.previews import statistics_of
from worker.spec.tables.bundled import BundledTable


@functools.cache
def columns_of(kind: type[BundledTable]) -> Sequence[dict[str, Any]]:
    """Return the columns of a table with their roles, and statistics of the training part."""
    schema, arrays = kind.table_schema(), kind.model_validate({"kind": kind.model_fields["kind"].default}).load(Path())
    assert arrays.tables is not None, f"{kind.__name__} is a table"
    train = arrays.tables[0]
    inputs = [
        Column(
            name=column.name,
            type=column.type,
            values=train.values(column.name),
            levels=column.levels,
            has_time=column.has_time,
        )
        for column in schema.columns
    ]
    name, y = kind.description()["target"], arrays.train_y
    if kind.classes:
        target = Column(name=name, type="category", values=y.astype(np.int32), levels=kind.classes)
    else:
        target = Column(name=name, type="number", values=y)
    return [*(_described(column, "input") for column in inputs), _described(target, "target")]


def _described(column: Column, role: ColumnRole) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "role": role,
        "levels": list(column.levels),
        "missing": int(column.missing.sum()),
        "statistics": statistics_of(column, np.arange(len(column.values))),
        "notes": [],
    }
