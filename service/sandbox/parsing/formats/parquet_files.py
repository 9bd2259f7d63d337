"""Parquet files: the metadata are checked before any data are unpacked."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import IO

import pyarrow as pa
from pyarrow import parquet

from service.sandbox.parsing.formats import arrow_columns
from service.sandbox.parsing.formats.headers import names_of
from service.sandbox.parsing.formats.packed_files import Bytes
from service.sandbox.parsing.formats.raw_columns import RawColumn, RawTable
from service.sandbox.parsing.options import Limits, Options
from service.sandbox.parsing.refusals import Refused, reading
from service.sandbox.parsing.sources import MAX_COLUMNS, check_size

MAX_THRIFT = 16 * 2**20
"""Bytes of a text, and entries of a list, in the file's metadata."""
GROUP = 32
"""Columns that are unpacked together."""
CODE_BYTES = 4
"""Of a cell in memory, at least."""
UNPACKED = 2
"""Unpacked size divided by the largest dataset's size, at most: 64-bit numbers are converted to 32 bits."""


def table_of(content: Bytes, options: Options, limits: Limits) -> RawTable:
    """Return the table in a Parquet file; a few columns are unpacked at a time.

    Raises:
        Refused: The file is not valid Parquet, is too large, or has columns that are no values.
    """
    with content.seekable() as source, reading("The Parquet file"):
        schema = _opened(source).schema_arrow
        notes: list[str] = []
        names = names_of(schema.names, notes)
        arrow_columns.check_types(schema, arrow_columns.dropped_positions(names, options))
        file = _opened(source, texts=[field.name for field in schema if arrow_columns.is_text(field.type)])
        _check(file.metadata, schema, limits)
        columns = [column for begin in range(0, len(names), GROUP) for column in _columns(file, names, begin)]
    return RawTable("parquet", columns, notes)


def _opened(source: IO[bytes], texts: Sequence[str] = ()) -> parquet.ParquetFile:
    """Open the file; the columns of ``texts`` are read as codes, so that repeated texts take no memory."""
    return parquet.ParquetFile(
        source,
        memory_map=False,
        pre_buffer=False,
        read_dictionary=list(texts),
        thrift_string_size_limit=MAX_THRIFT,
        thrift_container_size_limit=MAX_THRIFT,
    )


def _columns(file: parquet.ParquetFile, names: Sequence[str], begin: int) -> Iterator[RawColumn]:
    """Yield the columns at ``begin`` and after, a group of them."""
    types, rows = file.schema_arrow.types, file.metadata.num_rows
    chosen = range(begin, min(begin + GROUP, len(names)))
    read = [i for i in chosen if arrow_columns.is_readable(types[i])]
    leaves = list(itertools.accumulate(map(_leaves, types), initial=0))
    table = file.reader.read_all(column_indices=[leaves[i] for i in read], use_threads=False)
    if read and table.num_rows != rows:
        raise Refused("header_lies", f"The file declares {rows:,} rows, but has {table.num_rows:,}.")
    for i in chosen:
        if i in read:
            yield arrow_columns.raw_column(names[i], table.column(read.index(i)))
        else:
            yield arrow_columns.unread_column(names[i], types[i], rows)


def _leaves(kind: pa.DataType) -> int:
    """Return the number of columns in which the file stores values of this type."""
    if pa.types.is_struct(kind) or pa.types.is_map(kind):
        parts = (kind.key_type, kind.item_type) if pa.types.is_map(kind) else [part.type for part in kind]
        return sum(map(_leaves, parts))
    return _leaves(kind.value_type) if pa.types.is_nested(kind) else 1


def _check(metadata: parquet.FileMetaData, schema: pa.Schema, limits: Limits) -> None:
    """Check that the metadata are consistent, and describe a table that fits into a dataset."""
    if len(schema) > MAX_COLUMNS:
        raise Refused("too_many_columns", f"The file has {len(schema):,} columns; at most {MAX_COLUMNS:,} work.")
    if not metadata.num_rows:
        raise Refused("empty", "The file has no rows.")
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    if metadata.num_rows < 0 or sum(group.num_rows for group in groups) != metadata.num_rows:
        raise Refused("header_lies", "The rows of the file's row groups do not add up to the number that it declares.")
    most = UNPACKED * limits.dataset_bytes
    unpacked = max(sum(max(group.total_byte_size, 0) for group in groups), metadata.num_rows * len(schema) // 8)
    if unpacked > most:
        message = f"The file declares an unpacked size of {unpacked:,} bytes; this server accepts at most {most:,}."
        raise Refused("too_large", message)
    check_size(metadata.num_rows * len(schema) * CODE_BYTES, limits.dataset_bytes)
