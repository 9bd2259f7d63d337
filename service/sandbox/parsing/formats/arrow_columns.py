"""Typed tables of Arrow, from Parquet and Arrow files, as raw columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.sandbox.parsing.formats.headers import names_of
from service.sandbox.parsing.formats.raw_columns import Dates, Numbers, RawColumn, RawTable, Texts
from service.sandbox.parsing.options import Format, Options
from service.sandbox.parsing.refusals import Refused, quoted
from service.sandbox.parsing.tables.roles import column_named
from service.sandbox.parsing.types.cells import EXACT
from service.sandbox.parsing.types.dates import IN_UTC

Cells = Numbers | Dates | Texts


def table_of(table: pa.Table, form: Format, options: Options) -> RawTable:
    """Return the columns of a table.

    Raises:
        Refused: Columns are of types that are no values, such as lists.
    """
    notes: list[str] = []
    names = names_of(table.column_names, notes)
    check_types(table.schema, dropped_positions(names, options))
    if not table.num_rows:
        raise Refused("empty", "The file has no rows.")
    columns = [
        raw_column(name, table.column(i))
        if is_readable(table.schema.types[i])
        else unread_column(name, table.schema.types[i], table.num_rows)
        for i, name in enumerate(names)
    ]
    return RawTable(form, columns, notes)


def check_types(schema: pa.Schema, dropped: Collection[int]) -> None:
    """Check that every column has single values; those at the positions ``dropped`` may be of any type.

    Raises:
        Refused: Columns are nested, binary, or of another type without values for models.
    """
    wrong = [field for i, field in enumerate(schema) if i not in dropped and not is_readable(field.type)]
    refusals = [
        Refused(
            "wrong_dtype",
            f"The column {quoted(field.name)!r} has the type {quoted(str(field.type))}, which is not a single number, "
            "text or date. Store each of its parts as a column of its own, or drop the column.",
            place=quoted(field.name),
            column=quoted(field.name),
        )
        for field in wrong
    ]
    if refusals:
        raise Refused.together(refusals)


def dropped_positions(names: Sequence[str], options: Options) -> set[int]:
    """Return the positions of the columns that ``options.drop`` names.

    Raises:
        Refused: A column does not exist.
    """
    dropped = {column_named(name, names, "drop") for name in options.drop}
    return {i for i, name in enumerate(names) if name in dropped}


def is_readable(kind: pa.DataType) -> bool:
    """Return whether columns of this type have single values."""
    return _reader(kind) is not None


def unread_column(name: str, kind: pa.DataType, rows: int) -> RawColumn:
    """Return a dropped column whose type has no single values; all of its values are missing."""
    note = f"Its type {quoted(str(kind))} is not read, since the column is dropped."
    return RawColumn(name, Numbers(np.full(rows, np.nan)), notes=[note])


def raw_column(name: str, column: pa.ChunkedArray) -> RawColumn:
    """Return a column of a type that ``check_types`` accepts."""
    read = _reader(column.type)
    assert read is not None
    notes = [IN_UTC] if pa.types.is_timestamp(column.type) and column.type.tz not in (None, "UTC") else []
    cells = read(column)
    if isinstance(cells, Texts):
        _check_utf8(name, cells.levels)
    return RawColumn(name, cells, notes=notes)


def _check_utf8(name: str, levels: pa.StringArray) -> None:
    try:
        levels.validate(full=True)
    except pa.ArrowInvalid as error:
        message = f"The column {quoted(name)!r} contains text that is not UTF-8. Write it again with its text decoded."
        raise Refused("not_utf8", message, column=quoted(name)) from error


def _reader(kind: pa.DataType) -> Callable[[pa.ChunkedArray], Cells] | None:
    """Return the function that reads columns of this type; None if there are no values of it."""
    if pa.types.is_dictionary(kind):
        return _decoded if _reader(kind.value_type) is not None else None
    for applies, read in _READERS:
        if applies(kind):
            return read
    return None


def _decoded(column: pa.ChunkedArray) -> Cells:
    read = _reader(column.type.value_type)
    assert read is not None
    if is_text(column.type.value_type):
        return _texts(column)
    return read(column.cast(column.type.value_type))


def is_text(kind: pa.DataType) -> bool:
    """Return whether values of the type are texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _numbers(column: pa.ChunkedArray) -> Cells:
    """Return numbers, NaN where missing; whole numbers that float64 would round, as texts."""
    if pa.types.is_integer(column.type) and column.type.bit_width == 64:
        extremes = pc.min_max(column).as_py()
        if any(value is not None and abs(value) >= EXACT for value in extremes.values()):
            return _texts(column.cast(pa.string()))
    values = column.cast(pa.float64(), safe=False) if column.type != pa.float64() else column
    return Numbers(pc.fill_null(values, np.nan).to_numpy().astype(np.float64))


def _durations(column: pa.ChunkedArray) -> Cells:
    per_second = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[column.type.unit]
    numbers = _numbers(column.cast(pa.int64()))
    assert isinstance(numbers, Numbers)
    return Numbers(numbers.values / per_second)


def _dates(column: pa.ChunkedArray) -> Cells:
    if pa.types.is_timestamp(column.type):
        unit = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[column.type.unit]
        whole = column.cast(pa.timestamp(column.type.unit)).cast(pa.int64())
    else:
        unit, whole = 1, column.cast(pa.timestamp("s")).cast(pa.int64())
    values = pc.fill_null(whole, 0).to_numpy() / unit
    values[column.is_null().to_numpy()] = np.nan
    return Dates(values, bool((values[~np.isnan(values)] % 86400 != 0).any()))


def _booleans(column: pa.ChunkedArray) -> Cells:
    codes = pc.fill_null(column.cast(pa.int32()), -1).to_numpy().astype(np.int32)
    return Texts(codes, pa.array(["false", "true"]))


def _texts(column: pa.ChunkedArray) -> Cells:
    """Return the codes of texts, of a dictionary or not."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    encoded = encoded.cast(pa.dictionary(pa.int32(), pa.string())).unify_dictionaries()
    codes: list[Any] = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in encoded.chunks]
    return Texts(np.concatenate(codes).astype(np.int32), encoded.chunk(0).dictionary)


def _empty(column: pa.ChunkedArray) -> Cells:
    return Numbers(np.full(len(column), np.nan))


_READERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.ChunkedArray], Cells]], ...] = (
    (pa.types.is_boolean, _booleans),
    (pa.types.is_integer, _numbers),
    (pa.types.is_floating, _numbers),
    (pa.types.is_decimal, _numbers),
    (pa.types.is_timestamp, _dates),
    (pa.types.is_date, _dates),
    (pa.types.is_duration, _durations),
    (pa.types.is_time, lambda column: _texts(column.cast(pa.string()))),
    (is_text, _texts),
    (pa.types.is_null, _empty),
)
