"""Files of rows to predict: read as the columns of a model, and written again with its predictions."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from service.sandbox.parsing.formats.raw_columns import Dates, Numbers, RawColumn, RawTable, Texts
from service.sandbox.parsing.options import ColumnType, Files, Format, MergeTask, Reading, RowsTask
from service.sandbox.parsing.refusals import Refused, quoted
from service.sandbox.parsing.sources import Values, check_size
from service.sandbox.parsing.tables.columns import MISSING
from service.sandbox.parsing.tables.datasets import weights_of
from service.sandbox.parsing.tables.known_columns import known_rows, read_as, request_of
from service.sandbox.parsing.tables.reading import READERS, content_of
from service.sandbox.parsing.writer import Tensor, write_tensors

NUMBER_BYTES = 8
BATCH_ROWS = 10_000
"""Rows that are written together."""
MAX_LISTED = 20
"""Names that a message lists."""


def read_rows(files: Files, form: Format, reading: Reading, task: RowsTask) -> dict[str, Any]:
    """Write the rows of the file to ``data`` as tensors ``numbers``, ``codes`` and perhaps ``y`` and ``weights``.

    Return a report. Columns may be in any order, and others are ignored with a note. Rows without a needed target are
    left out.

    Raises:
        Refused: The file is not a table, lacks a column of the model, or a cell is not of its column's type.
    """
    typed = _typed_reading(reading, task)
    try:
        try:
            raw = _raw_table(files.body, form, typed)
        except Refused as refused:
            if not (unused := _unused(refused, task)):
                raise
            raw = _raw_table(files.body, form, replace(typed, options=replace(typed.options, drop=unused)))
    except Refused as refused:
        if refused.code == "no_such_column":  # the file lacks a column whose type is known
            _check_columns(refused.allowed, task)
        raise
    by_name = {column.name: column for column in raw.columns}
    names = list(by_name)
    check_size(raw.rows * NUMBER_BYTES * len(task.columns), reading.limits.dataset_bytes)
    _check_columns(names, task)
    comma_likely = raw.decimal_comma or any(column.decimal == "," for column in task.columns)
    request = request_of(reading.options, comma_likely=comma_likely)
    rows = known_rows(by_name, task.columns, raw.rows, request)
    notes = [*raw.notes, *_ignored(names, task), *rows.notes]
    y = None if task.target is None else _target(by_name[task.target], task, request)
    present = np.arange(raw.rows) if y is None else np.flatnonzero(y != MISSING if task.classes else ~np.isnan(y))
    if not len(present):
        raise Refused("missing_values", f"No row has a value of the target {task.target!r}.", column=task.target)
    if left := raw.rows - len(present):
        notes.append(f"{left:,} rows have no value of the target {task.target!r} and were left out.")
    tensors = {"numbers": Tensor(rows.numbers, present)}
    tensors |= {} if y is None else {"y": Tensor(y, present)}
    if task.weight is not None and task.weight in by_name:
        weights = weights_of(read_as(by_name[task.weight], "number", request))
        tensors["weights"] = Tensor(weights, present)
    write_tensors(files.data, {}, {**tensors, "codes": Tensor(rows.codes, present)})
    counts = {"missing": rows.missing, "unseen": rows.unseen}
    return {"rows": len(present), "columns": names, "notes": notes, **counts}


def _raw_table(body: Path, form: Format, reading: Reading) -> RawTable:
    content, detected = content_of(body, form, reading)
    raw = READERS[detected](content, reading)
    raw.notes[:0] = content.notes
    return raw


def _unused(refused: Refused, task: RowsTask) -> tuple[str, ...]:
    """Return the columns whose types are refused, if the model uses none of them; else nothing."""
    used = {column.name for column in task.columns if column.used} | {task.target}
    refusals = (refused, *refused.others)
    names = [one.column for one in refusals if one.code == "wrong_dtype" and one.column is not None]
    return tuple(names) if len(names) == len(refusals) and used.isdisjoint(names) else ()


def _typed_reading(reading: Reading, task: RowsTask) -> Reading:
    """Return how the file is read: columns with texts are never numbers, and the first row names the columns.

    Numbers with decimal commas are read from their texts, in which a point alone separates thousands.
    """
    types: dict[str, ColumnType] = {
        column.name: "category" if column.decimal == "," and reading.options.decimal is None else column.type
        for column in task.columns
        if column.used
    }
    if task.target is not None:
        types[task.target] = "category" if task.classes else "number"
    named = not all(name.isdigit() for name in types)  # the columns of a file without a header are 0, 1, 2 …
    header = True if reading.options.header is None and named else reading.options.header
    return replace(reading, options=replace(reading.options, types=types, header=header))


def _check_columns(names: Sequence[str], task: RowsTask) -> None:
    """Check that the file has all columns that the model needs.

    Raises:
        Refused: Some are missing.
    """
    needed = [column.name for column in task.columns if column.used]
    needed += [] if task.target is None else [task.target]
    missing = [name for name in needed if name not in names]
    if missing:
        message = (
            f"The file lacks {_listed(missing)}; it has {_listed(names)}. The model needs {_listed(needed)}. "
            "A column may be empty if all its values are missing."
        )
        raise Refused("missing_columns", message, column=missing[0], allowed=needed)


def _ignored(names: Sequence[str], task: RowsTask) -> list[str]:
    used = {column.name for column in task.columns if column.used} | {task.target, task.weight}
    ignored = [name for name in names if name not in used]
    return [f"Columns that the model does not use were ignored: {_listed(ignored)}."] if ignored else []


def _target(raw: RawColumn, task: RowsTask, request: Any) -> Values:
    """Return labels, ``MISSING`` where missing, or numbers, NaN where missing.

    Raises:
        Refused: A class is none of the model's.
    """
    if not task.classes:
        return read_as(raw, "number", request).values
    kind: ColumnType = "boolean" if task.classes == ("false", "true") else "category"
    column = read_as(raw, kind, request)
    places = {name: i for i, name in enumerate(task.classes)}
    labels = np.array(
        [*(places.get(_class_name(one, places), len(places)) for one in column.levels), MISSING], np.int64
    )
    y: Values = labels[column.values]
    wrong = np.flatnonzero(y == len(places))
    if len(wrong):
        row, cell = int(wrong[0]) + 1, column.levels[column.values[wrong[0]]]
        message = (
            f"Column {raw.name!r}, row {row}: {quoted(cell)!r} is none of the model's classes {_listed(task.classes)}. "
            "A model can be evaluated on rows of its own classes only."
        )
        raise Refused(
            "unknown_class", message, place=raw.name, row=row, column=raw.name, cell=cell, allowed=task.classes
        )
    return y


def _class_name(level: str, places: dict[str, int]) -> str:
    """Return the class that a text means: itself, or the whole number that it is, as in 1.0."""
    if level not in places:
        try:
            return str(int(float(level))) if float(level).is_integer() else level
        except (ValueError, OverflowError):
            return level
    return level


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(quoted(name)) for name in names[:MAX_LISTED]) + (", …" if len(names) > MAX_LISTED else "")


def merge(files: Files, form: Format, reading: Reading, task: MergeTask) -> dict[str, Any]:
    """Write the rows of the file with the predictions to ``merged``; return an empty report.

    Columns ``prediction`` and, of classes, ``probability of CLASS`` follow those of the file.

    Raises:
        Refused: The file is not a table.
    """
    table = _original(files.body, form, reading, task)
    outputs = np.fromfile(files.outputs, "<f4").reshape(table.num_rows, -1)
    for name, values in _predictions(outputs, task.classes).items():
        table = table.append_column(_unique(name, table.column_names), values)
    if task.form == "parquet":
        parquet.write_table(table, files.merged)
    else:
        _write_csv(table, files.merged)
    return {}


def _write_csv(table: pa.Table, target: Path) -> None:
    """Write a table as CSV; Arrow's writer would quote every text."""
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.column_names)
        for batch in table.to_batches(BATCH_ROWS):
            writer.writerows(zip(*(column.cast(pa.string()).to_pylist() for column in batch.columns), strict=True))


def _original(body: Path, form: Format, reading: Reading, task: MergeTask) -> pa.Table:
    """Return the rows as the file has them: cells of a text as texts, columns of Parquet as they are."""
    options = replace(reading.options, types=dict.fromkeys(task.columns, "category"), missing=())
    reading = replace(reading, options=options)
    content, detected = content_of(body, form, reading)
    if detected == "parquet":
        with content.seekable() as source:
            return parquet.read_table(source, use_threads=False)
    raw = READERS[detected](content, reading)
    return pa.table({column.name: _cells(column) for column in raw.columns})


def _cells(column: RawColumn) -> pa.Array:
    match column.cells:
        case Texts(codes=codes, levels=levels):
            return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), levels).dictionary_decode()
        case Numbers(values=values):
            return pa.array(values, from_pandas=True)
        case Dates(values=values):
            seconds = np.where(np.isnan(values), 0, values)
            return pa.array((seconds * 1000).astype("datetime64[ms]"), mask=np.isnan(values))


def _predictions(outputs: Values, classes: Sequence[str]) -> dict[str, pa.Array]:
    """Return the columns of predictions; outputs that are not finite are null."""
    unknown = ~np.isfinite(outputs)
    if not classes:
        return {"prediction": pa.array(outputs[:, 0], mask=unknown[:, 0])}
    best = pa.array(outputs.argmax(1).astype(np.int32), mask=unknown.any(1))
    columns = {"prediction": pa.DictionaryArray.from_arrays(best, pa.array(classes)).dictionary_decode()}
    for i, name in enumerate(classes):
        columns[f"probability of {name}"] = pa.array(outputs[:, i], mask=unknown[:, i])
    return columns


def _unique(name: str, names: Sequence[str]) -> str:
    """Return a name that no column has."""
    others = (f"{name} ({i})" for i in range(2, len(names) + 3))
    return name if name not in names else next(other for other in others if other not in names)
