"""From a file to a typed table: the format's reader gives raw columns, whose types are then decided alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from service.sandbox.parsing.formats import (
    arff_files,
    arrow_files,
    delimited_files,
    npy_files,
    packed_files,
    parquet_files,
    table_formats,
    workbooks,
)
from service.sandbox.parsing.formats.packed_files import Bytes
from service.sandbox.parsing.formats.raw_columns import Numbers, RawColumn, RawTable, Texts
from service.sandbox.parsing.formats.text_streams import text_file
from service.sandbox.parsing.options import Format, Mark, Options, Reading
from service.sandbox.parsing.refusals import Refused
from service.sandbox.parsing.sources import check_size
from service.sandbox.parsing.tables.columns import Column, Table
from service.sandbox.parsing.tables.roles import column_named, types_of
from service.sandbox.parsing.types.inference import typed
from service.sandbox.parsing.types.numbers import certain_mark
from service.sandbox.parsing.types.requests import Request

NUMBER_BYTES = 8
SAMPLED_LEVELS = 10_000
"""Texts of a column that decide whether it is sure of its decimal mark."""


def read_table(body: Path, form: Format, reading: Reading) -> Table:
    """Return the table in a file, each column with the type that ``reading.options`` or its values say.

    ``form`` is the format that the owner named; without one, the first bytes decide.

    Raises:
        Refused: The file is not a table of this format, or columns cannot be read.
    """
    return table_of(*content_of(body, form, reading), reading)


def content_of(body: Path, form: Format, reading: Reading) -> tuple[Bytes, Format]:
    """Return the unpacked bytes of a table, and their format.

    Raises:
        Refused: The file is a zip file of several tables, or no table.
    """
    content = packed_files.unpacked(body, reading.options.member, reading.limits)
    if reading.options.format is None or form not in READERS:
        return content, table_formats.format_of(content)
    return content, table_formats.text_format_of(content) if form == "csv" else form


def table_of(content: Bytes, form: Format, reading: Reading) -> Table:
    """Return the table in ``content``.

    Raises:
        Refused: It is not a table of this format, or columns cannot be read.
    """
    raw = READERS[form](content, reading)
    names = [column.name for column in raw.columns]
    check_size(raw.rows * NUMBER_BYTES * len(names), reading.limits.dataset_bytes)
    options = _by_name(reading.options, names)
    columns = _typed(raw, target_of(names, options), options)
    return Table(format=raw.format, columns=columns, notes=[*content.notes, *raw.notes])


def _by_name(options: Options, names: Sequence[str]) -> Options:
    """Return the options with the names of columns in place of their positions.

    Raises:
        Refused: A column does not exist.
    """

    def named(role: str) -> str | None:
        name = getattr(options, role)
        return None if name is None else column_named(name, names, role)

    return replace(
        options,
        types=types_of(options, names),
        drop=tuple(column_named(name, names, "drop") for name in options.drop),
        target=named("target"),
        group=named("group"),
        time=named("time"),
        split=named("split"),
        weight=named("weight"),
    )


def target_of(names: Sequence[str], options: Options) -> str:
    """Return the name of the target: as requested, or the last column without another role."""
    used = {*options.drop, options.group, options.time, options.split, options.weight}
    return options.target or next((name for name in reversed(names) if name not in used), "")


def _typed(raw: RawTable, target: str, options: Options) -> list[Column]:
    """Return the typed columns.

    Raises:
        Refused: Columns cannot be read; the error has the others.
    """
    columns, refusals = [], []
    mark = _decimal_mark(raw)
    for column in _released(raw.columns):
        request = Request.of(column, target, options, comma_likely=raw.decimal_comma, elsewhere=mark)
        try:
            columns.append(typed(column, request))
        except Refused as refused:
            refusals.append(refused)
    if refusals:
        raise Refused.together(refusals)
    return columns


def _decimal_mark(raw: RawTable) -> Mark | None:
    """Return the decimal mark of all columns that are sure of one; None if they differ, or none is."""
    if raw.format == "arff":
        return "."
    marks = {mark for column in raw.columns if (mark := _certain_mark(column)) is not None}
    return marks.pop() if len(marks) == 1 else None


def _certain_mark(column: RawColumn) -> Mark | None:
    match column.cells:
        case Texts(levels=levels):
            return certain_mark(levels[:SAMPLED_LEVELS])
        case Numbers(values=values) if column.pointed is None:
            known = values[np.isfinite(values)]
            return column.decimal if column.decimal == "," or (known != np.rint(known)).any() else None
    return None


def _released(columns: list[RawColumn]) -> Iterator[RawColumn]:
    """Yield the columns from first to last, and remove each from the list, to free its memory."""
    columns.reverse()
    while columns:
        yield columns.pop()


def _csv(content: Bytes, reading: Reading) -> RawTable:
    text = text_file(content.open, reading.options.encoding)
    return delimited_files.table_of(text, reading.options, reading.limits)


def _arff(content: Bytes, reading: Reading) -> RawTable:
    text = text_file(content.open, reading.options.encoding)
    return arff_files.table_of(text, reading.options, reading.limits)


READERS: dict[Format, Callable[[Bytes, Reading], RawTable]] = {
    "csv": _csv,
    "parquet": lambda content, reading: parquet_files.table_of(content, reading.options, reading.limits),
    "arrow": lambda content, reading: arrow_files.table_of(content, reading.options, reading.limits),
    "xlsx": lambda content, reading: workbooks.table_of(content, reading.options, reading.limits),
    "arff": _arff,
    "npy": lambda content, reading: npy_files.table_of(content, reading.limits),
}
