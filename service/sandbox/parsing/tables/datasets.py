"""From a table to a dataset: roles, target, split, file and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from service.sandbox.parsing.options import Limits, Options
from service.sandbox.parsing.refusals import Refused
from service.sandbox.parsing.sources import Named, Values, check_names, check_size
from service.sandbox.parsing.tables.columns import CODED, Column, Table
from service.sandbox.parsing.tables.files import LAYOUT, TypedTable, described, with_training_levels, write_table
from service.sandbox.parsing.tables.previews import all_rows, preview_of, statistics_of
from service.sandbox.parsing.tables.roles import NOT_INPUTS, Roles, roles_of
from service.sandbox.parsing.tables.series import check_series, shared_times, with_past
from service.sandbox.parsing.tables.splits import TableSplit, split_table
from service.sandbox.parsing.tables.warnings import warnings_of
from service.sandbox.parsing.targets import Target, target_of

MAX_INPUTS = 10_000
MAX_WEIGHT_RATIO = 1e9
MAX_COLUMN_NOTES = 30
"""Notes on columns that are repeated among those on the file."""


def write_dataset(table: Table, data: Path, options: Options, limits: Limits) -> dict[str, Any]:
    """Write the dataset of ``table`` to ``data``, and return its description.

    Raises:
        Refused: The table cannot be trained on as requested.
    """
    _check_table(table)
    roles = roles_of(table, options)
    notes = [*table.notes, *roles.notes]
    in_time = options.time is not None or options.order == "time"
    check_series(options, in_time=in_time)
    options = replace(options, order="time") if in_time else options
    roles = _ordered(roles, options, notes)
    series_warnings = shared_times(roles.time.values) if roles.time and (options.lags or options.rolling) else []
    roles = _with_history(roles, options, notes)
    roles = _with_targets(roles, in_time=in_time, notes=notes)
    target = _target_of(roles.target, options)
    split = split_table(target, roles.split, roles.group, options)
    inputs = [with_training_levels(column, split.parts.train) for column in roles.inputs]
    check_size(len(target.values) * (8 * len(inputs) + 8), limits.dataset_bytes)
    about = {
        "target": roles.target.name,
        **({} if split.parts.order == "random" else {"order": split.parts.order}),
        **({} if options.horizon == 1 else {"horizon": options.horizon}),
    }
    typed = TypedTable(
        inputs=inputs,
        target=target,
        split=split,
        weights=None if roles.weight is None else weights_of(roles.weight),
        about=about,
    )
    written = write_table(data, typed)
    notes += _notes_on(table.columns)
    notes += [f"The task is {target.task}, {target.note}.", split.parts.note]
    return {
        "format": table.format,
        "sha256": written.sha256,
        "bytes": written.bytes,
        "content": _content(inputs, target, split, options),
        "notes": notes,
        "warnings": [*series_warnings, *warnings_of(inputs, target, split.parts)],
        "table": {"columns": _schema(inputs, roles, split)},
        "preview": preview_of(inputs, roles.target.name, target, split.parts),
    }


def _notes_on(columns: Sequence[Column]) -> list[str]:
    """Return the decisions about single columns; the columns themselves have all of them."""
    notes = [f"{column.name!r}: {note}" for column in columns if column.type not in NOT_INPUTS for note in column.notes]
    more = len(notes) - MAX_COLUMN_NOTES
    return notes if more <= 0 else [*notes[:MAX_COLUMN_NOTES], f"{more} more notes are with their columns."]


def _check_table(table: Table) -> None:
    if table.rows == 0:
        raise Refused("empty", "The file has no rows.")
    if len(table.columns) > MAX_INPUTS:
        message = f"The table has {len(table.columns):,} columns; at most {MAX_INPUTS:,} work."
        raise Refused("too_many_columns", message)
    check_names([column.name for column in table.columns], "column")


def _take(roles: Roles, rows: Values) -> Roles:
    """Return the columns of these rows."""

    def selected(column: Column | None) -> Column | None:
        return None if column is None else column.take(rows)

    return replace(
        roles,
        inputs=[column.take(rows) for column in roles.inputs],
        target=roles.target.take(rows),
        group=selected(roles.group),
        time=selected(roles.time),
        split=selected(roles.split),
        weight=selected(roles.weight),
        dropped=[column.take(rows) for column in roles.dropped],
    )


def _ordered(roles: Roles, options: Options, notes: list[str]) -> Roles:
    """Return the rows in order of the time column; without one, warn of dates that are out of order."""
    if roles.time is None:
        if options.order == "time":
            notes += [
                f"The column {column.name!r} is not ascending; to sort the rows by it, set time={column.name}."
                for column in roles.inputs
                if column.type == "date" and (np.diff(column.values) < 0).any()
            ]
        return roles
    values, name = roles.time.values, roles.time.name
    if roles.time.type in CODED:
        message = f"The column {name!r} is {roles.time.type}; rows are ordered by dates or numbers."
        raise Refused("wrong_type", message, parameter="time", column=name)
    if roles.time.missing.any():
        row = int(np.flatnonzero(roles.time.missing)[0]) + 1
        message = f"Row {row} has no value of {name!r}, which orders the rows."
        raise Refused("missing_values", message, parameter="time", row=row, column=name)
    if (np.diff(values) >= 0).all():
        return roles
    notes.append(f"The rows were sorted by {name!r}.")
    return _take(roles, np.argsort(values, kind="stable"))


def _with_history(roles: Roles, options: Options, notes: list[str]) -> Roles:
    """Return the rows of a series with earlier values as inputs."""
    if not (options.lags or options.rolling):
        return roles
    inputs, history = with_past(roles.inputs, roles.target, options)
    notes.append(f"The first {history:,} rows have no whole past and were left out.")
    return _take(replace(roles, inputs=inputs), np.arange(history, len(roles.target.values)))


def _with_targets(roles: Roles, *, in_time: bool, notes: list[str]) -> Roles:
    """Return the rows that have a target.

    Raises:
        Refused: No row has one, or a row in the middle of a series lacks it.
    """
    missing = roles.target.missing
    if not missing.any():
        return roles
    name, count = roles.target.name, int(missing.sum())
    if missing.all():
        raise Refused("missing_values", f"No row has a value of the target {name!r}.", parameter="target", column=name)
    if in_time:
        row = int(np.flatnonzero(missing)[0]) + 1
        message = f"The target {name!r} has no value in {count:,} rows of the series, the first of them row {row}."
        raise Refused("missing_values", message, parameter="target", row=row, column=name)
    unit = "row has" if count == 1 else "rows have"
    notes.append(f"{count:,} {unit} no value of the target {name!r} and were left out.")
    return _take(roles, np.flatnonzero(~missing))


def _labels(column: Column) -> Named | Values:
    """Return the target's values: classes as codes with names, or numbers."""
    if column.type == "date":
        message = f"The target {column.name!r} is a date; classes or numbers can be predicted."
        raise Refused("wrong_dtype", message, parameter="target", column=column.name)
    return Named(column.values.astype(np.int64), column.levels) if column.type in CODED else column.values


def _target_of(column: Column, options: Options) -> Target:
    """Return the target; by default, numbers of a series are predicted as numbers, however few there are."""
    series = bool(options.lags or options.rolling) and column.type == "number"
    if options.task is not None or not series:
        return target_of(_labels(column), options.task)
    return replace(target_of(_labels(column), "regression"), note="since the target is a series of numbers")


def weights_of(column: Column) -> Values:
    """Return the weights of all rows.

    Raises:
        Refused: A weight is missing or not positive, or weights differ too much.
    """
    if column.type != "number":
        message = f"The column {column.name!r} is {column.type}; weights are positive numbers."
        raise Refused("wrong_type", message, parameter="weight", column=column.name)
    wrong = np.flatnonzero(~((column.values > 0) & np.isfinite(column.values)))
    if len(wrong):
        row = int(wrong[0])
        message = f"Row {row + 1} has the weight {column.values[row]:g}; weights are positive numbers."
        raise Refused("bad_weight", message, parameter="weight", row=row + 1, column=column.name)
    low, high = column.values.min(), column.values.max()
    if high > MAX_WEIGHT_RATIO * low:
        most = f"the largest may be {MAX_WEIGHT_RATIO:g} times the least"
        message = f"Weights from {low:g} to {high:g} differ too much; {most}."
        raise Refused("bad_weight", message, parameter="weight", column=column.name)
    return column.values


def _content(inputs: Sequence[Column], target: Target, split: TableSplit, options: Options) -> dict[str, Any]:
    return {
        "task": target.task,
        "shape": [len(inputs)],
        "classes": list(target.classes),
        "rows_train": len(split.parts.train),
        "rows_test": len(split.parts.test),
        "order": split.parts.order,
        "layout": LAYOUT,
        "largest_group": split.largest_group,
        "rows_validation": 0 if split.validates is None else int(split.validates.sum()),
        "horizon": options.horizon,
    }


def _schema(inputs: Sequence[Column], roles: Roles, split: TableSplit) -> list[dict[str, Any]]:
    """Return every column with its role; statistics are of the training part."""
    train = split.parts.train
    others = [("target", roles.target), ("group", roles.group), ("split", roles.split), ("weight", roles.weight)]
    listed = [("input", column) for column in inputs]
    listed += [(role, column) for role, column in others if column is not None]
    listed += [("dropped", column) for column in roles.dropped]
    names = {column.name for _, column in listed}
    if roles.time is not None and roles.time.name not in names:
        listed.append(("time", roles.time))
    return [_described(column, role, train) for role, column in listed]


def _described(column: Column, role: str, train: Values) -> dict[str, Any]:
    """Return a column with its role; values of dropped columns are not repeated."""
    report = {
        **described(column, train),
        "role": role,
        "missing": int(column.missing[train].sum()),
        "notes": list(column.notes),
    }
    if role in ("dropped", "group"):
        report.pop("levels", None)
        return report
    values = all_rows(column) if role == "input" and column.type == "number" else None
    return {**report, "statistics": statistics_of(column, train), **({"all_rows": values} if values else {})}
