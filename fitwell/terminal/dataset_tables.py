"""Datasets as text: facts, columns, notes and warnings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rich.markup import escape
from rich.table import Table

from fitwell.datasets import Dataset
from fitwell.table_columns import Column


def dataset_lines(dataset: Dataset[Any]) -> Iterator[str]:
    """Yield facts, notes and warnings."""
    shape = "×".join(map(str, dataset.shape))
    yield f"{dataset.name}: {dataset.rows_train} + {dataset.rows_test} rows of {shape}, {dataset.task}"
    yield from (f"  {note}" for note in dataset.notes)
    yield from (f"  Warning: {warning}" for warning in dataset.warnings)


def options_line(dataset: Dataset[Any]) -> str:
    """Return the options that the file was read with."""
    options = {name: value for name, value in (dataset.options or {}).items() if value is not None}
    return f"options: {json.dumps(options)}"


def columns_table(columns: list[Column]) -> Table:
    """Return a row for each column."""
    table = Table("column", "type", "role", "missing", "values", "notes")
    for column in columns:
        notes = escape(" ".join(column.notes))
        table.add_row(
            escape(column.name), column.type, column.role, str(column.missing), escape(_values(column)), notes
        )
    return table


def _values(column: Column) -> str:
    """Return the range of numbers and dates, or the number of levels and the most frequent ones."""
    figures, counts = column.figures(), column.statistics.get("counts", [])
    if counts:
        return f"{figures['distinct']}: " + ", ".join(f"{one['name']} ({one['rows']})" for one in counts[:3])
    if "first" in figures:
        return f"{figures['first']} … {figures['last']}"
    if "mean" in figures:
        low, high, mean, std = (f"{figures[name]:.4g}" for name in ("min", "max", "mean", "std"))
        return f"{low} … {high}, {mean} ± {std}"
    return ""
