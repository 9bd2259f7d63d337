"""CSV files: the columns are counted before a library reads them; the library infers types over all rows."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

from service.sandbox.parsing.options import Options
from service.sandbox.parsing.refusals import Refused, quoted, reading
from service.sandbox.parsing.sources import check_names
from service.sandbox.parsing.tables import MAX_COLUMNS

HEAD_BYTES = 2**20
"""Longest first line."""
BLOCK_BYTES = 2**23
"""Longest row."""
DELIMITERS = (",", ";", "\t", "|")


def table_of(path: Path, options: Options, notes: list[str]) -> pa.Table:
    """Return the table in a CSV file.

    Raises:
        Refused: The file is not UTF-8 text, its rows differ in length, or it has too many columns.
    """
    first, delimiter = _first_row(path)
    if len(first) > MAX_COLUMNS:
        raise Refused("too_many_columns", f"The file has {len(first):,} columns; at most {MAX_COLUMNS:,} work.")
    header = _has_header(first) if options.header is None else options.header
    if header:
        check_names([name or "(no name)" for name in first], "column")
    elif options.header is None:
        notes.append("The first row has only numbers, so it counts as data, and the columns are named 0, 1, 2 …")
    form = {
        "read_options": arrow_csv.ReadOptions(
            use_threads=False, block_size=BLOCK_BYTES, column_names=None if header else _numbered(len(first))
        ),
        "parse_options": arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
    }
    with reading("The CSV file"), _clear_errors():
        table = _read(path, form, options)
    bytes_only = next((field.name for field in table.schema if pa.types.is_binary(field.type)), None)
    if bytes_only is not None:
        raise Refused("not_utf8", f"The column {bytes_only!r} contains text that is not UTF-8.", place=bytes_only)
    return table


def _read(path: Path, form: Mapping[str, Any], options: Options) -> pa.Table:
    """Return the table, reading columns that begin with numbers as float32, as inference takes twice the memory.

    If such a column contains text further on, types are inferred after all.
    """
    with arrow_csv.open_csv(path, **form) as beginning:
        schema = beginning.schema
    types = {field.name: pa.float32() for field in schema if _may_be_number(field.type)}
    target = options.target or next((name for name in reversed(schema.names) if name not in options.drop), "")
    types |= {target: pa.float64()} if target in types else {}
    types.pop("", None)  # it may number the rows, exactly
    try:
        return arrow_csv.read_csv(path, convert_options=arrow_csv.ConvertOptions(column_types=types), **form)
    except pa.ArrowInvalid as error:
        if not any(f"conversion error to {kind}" in str(error) for kind in ("float", "double")):
            raise
    return arrow_csv.read_csv(path, **form)


def _may_be_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind))


@contextlib.contextmanager
def _clear_errors() -> Iterator[None]:
    """Replace the library's errors about malformed rows by clear ones."""
    try:
        yield
    except pa.ArrowInvalid as error:
        text = str(error)
        if "straddling" in text:
            message = f"A row is longer than {BLOCK_BYTES:,} bytes; perhaps a quotation mark is not closed."
            raise Refused("row_too_long", message) from error
        if "Expected" in text and "columns, got" in text:
            message = f"The rows have different numbers of columns: {quoted(text.partition('error: ')[2])}"
            raise Refused("ragged_rows", message) from error
        raise


def _numbered(count: int) -> list[str]:
    return [str(i) for i in range(count)]


def _first_row(path: Path) -> tuple[list[str], str]:
    """Return the cells of the first row, and the delimiter."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        more = bool(file.read(1))
    if not head.strip():
        raise Refused("empty", "The file is empty.")
    if b"\0" in head:
        raise Refused("unreadable", "The file is of no known format: it contains NUL bytes, so it is not CSV.")
    end = head.rfind(b"\n") + 1
    if more and not end:
        raise Refused("too_many_columns", f"The first row is longer than {HEAD_BYTES:,} bytes, the maximum.")
    try:
        text = (head[:end] if more else head).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused("not_utf8", f"The file is not in UTF-8: {error.reason} at byte {error.start}.") from error
    line = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=line.count)
    with reading(f"The first row ({quoted(line)!r})"):
        return next(csv.reader(io.StringIO(text), delimiter=delimiter)), delimiter


def _has_header(first: list[str]) -> bool:
    """Return whether the first row names the columns: it has a text, or its numbers are 0, 1, 2 and so on."""
    if first == _numbered(len(first)):
        return True
    return not all(_is_number(cell) for cell in first)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
