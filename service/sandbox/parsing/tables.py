"""Tables of any file format: one column is the target, numbers are inputs, text is one-hot encoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.sandbox.parsing.options import Format, Limits, Options
from service.sandbox.parsing.refusals import Refused, quoted
from service.sandbox.parsing.sources import Named, Source, Values, check_names, check_size

MAX_COLUMNS = 10_000
MAX_VALUES = 100
"""Different texts in a column, at most."""
INDEX = "__index_level_0__"
"""The name of the row numbers that pandas writes into Parquet files."""


def source_of(table: pa.Table, form: Format, options: Options, limits: Limits, notes: list[str]) -> Source:
    """Return the rows of a table; appends a note on everything inferred to ``notes``.

    Raises:
        Refused: A column does not exist, has missing values, or has an unsupported type.
    """
    table = _without(table, options.drop, notes)
    names: list[str] = table.column_names
    check_names(names, "column")
    if table.num_rows == 0:
        raise Refused("empty", "The file has no rows.")
    if not names:
        raise Refused("no_inputs", "No column is left.")
    target = _target(names, options.target, notes)
    y = _labels(table.column(target), target)
    table = table.drop_columns([target])
    if table.num_columns == 0:
        raise Refused("no_inputs", f"The table has only the target column, {target!r}.")
    levels = {name: _levels(table.column(name), name) for name in table.column_names}
    x, columns = _inputs(table, levels, limits)
    encoded = [name for name, values in levels.items() if values is not None]
    if encoded:
        notes.append(f"Text became a column for each of its values: {', '.join(encoded[:20])}.")
    return Source(form, [x], y, columns=columns, target=target, notes=notes)


def _without(table: pa.Table, drop: Sequence[str], notes: list[str]) -> pa.Table:
    """Return the table without dropped columns and without unnamed row numbers."""
    unknown = [name for name in drop if name not in table.column_names]
    if unknown:
        raise _no_column(unknown[0], table.column_names, "drop")
    dropped = [name for name in table.column_names if name in drop]
    numbers = next((name for name in ("", INDEX) if name in table.column_names[:1] + table.column_names[-1:]), None)
    if numbers is not None and table.column_names.count(numbers) == 1 and _counts(table.column(numbers)):
        dropped.append(numbers)
        notes.append("An unnamed column of row numbers was dropped.")
    return table.drop_columns(dropped)


def _counts(column: pa.ChunkedArray) -> bool:
    """Return whether the column numbers the rows from 0 or 1."""
    if not pa.types.is_integer(column.type) or column.null_count or not len(column):
        return False
    values = column.to_numpy()
    return bool(values[0] in (0, 1) and (np.diff(values) == 1).all())


def _no_column(name: str, names: Sequence[str], parameter: str) -> Refused:
    listed = ", ".join(quoted(one) for one in names[:20]) + (", …" if len(names) > 20 else "")
    message = f"Unknown column {name!r}. The columns are {listed}."
    return Refused("no_such_column", message, parameter=parameter, allowed=names)


def _target(names: Sequence[str], requested: str | None, notes: list[str]) -> str:
    if requested is None:
        notes.append(f"The target is the last column, {names[-1]!r}.")
        return names[-1]
    if requested not in names:
        raise _no_column(requested, names, "target")
    return requested


def _labels(column: pa.ChunkedArray, name: str) -> Named | Values:
    _check_whole(column, name)
    if _is_text(column.type):
        encoded = column.cast(pa.large_string()).combine_chunks().dictionary_encode()
        return Named(encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist())
    return _numbers(column, name)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _check_whole(column: pa.ChunkedArray, name: str) -> None:
    """Check that every row has a value."""
    if not column.null_count:
        return
    if column.null_count == len(column):
        raise Refused("missing_values", f"The column {name!r} is empty; leave it out with drop={name}.", place=name)
    row = pc.index(pc.is_null(column), value=True).as_py() + 1
    message = (
        f"The column {name!r} has no value in {column.null_count:,} rows, the first of them row {row}; fill them in, "
        f"leave the rows out, or leave the column out with drop={name}."
    )
    raise Refused("missing_values", message, place=name)


def _numbers(column: pa.ChunkedArray, name: str) -> Values:
    """Return a column of numbers as a NumPy array."""
    kind = column.type
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        message = f"The column {name!r} has the unsupported type {kind}. Leave it out with drop={name}."
        raise Refused("wrong_dtype", message, place=name)
    values: Values = column.to_numpy()
    return values.astype(bool) if values.dtype == object else values


def _levels(column: pa.ChunkedArray, name: str) -> list[str] | None:
    """Return the sorted values of a text column; None for a column of numbers."""
    _check_whole(column, name)
    if not _is_text(column.type):
        return None
    values = pc.unique(column.cast(pa.large_string())).to_pylist()
    if len(values) > MAX_VALUES:
        message = (
            f"The column {name!r} has {len(values):,} different texts, such as {quoted(values[0])!r}; at most "
            f"{MAX_VALUES} become columns. Leave it out with drop={name}, or name it as the target."
        )
        raise Refused("too_many_values", message, place=name)
    return sorted(values)


def _inputs(table: pa.Table, levels: dict[str, list[str] | None], limits: Limits) -> tuple[Values, list[str]]:
    """Return the inputs (N, D) as float32, and the columns' names."""
    columns: list[str] = []
    for name, values in levels.items():
        columns += [name] if values is None else [f"{name}={value}" for value in values]
    if len(columns) > MAX_COLUMNS:
        raise Refused("too_many_columns", f"There would be {len(columns):,} columns; at most {MAX_COLUMNS:,} work.")
    check_names(columns, "column")
    check_size(table.num_rows * (4 * len(columns) + 8), limits.dataset_bytes)
    x = np.zeros((table.num_rows, len(columns)), np.float32)
    at = 0
    for name, values in levels.items():
        column = table.column(name)
        if values is None:
            x[:, at] = _finite(_numbers(column, name), name)
            at += 1
        else:
            places = pc.index_in(column.cast(pa.large_string()), pa.array(values, pa.large_string()))
            x[np.arange(len(x)), at + places.to_numpy()] = 1
            at += len(values)
    return x, columns


def _finite(values: Values, name: str) -> Values:
    """Return the values as float32, and check that they are finite."""
    with np.errstate(over="ignore"):
        converted: np.ndarray[Any, np.dtype[np.float32]] = values.astype(np.float32)
    wrong = ~np.isfinite(converted)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        message = f"The column {name!r} is {values[row]} in row {row + 1}; only finite float32 numbers work."
        raise Refused("not_finite", message, place=name)
    return converted
