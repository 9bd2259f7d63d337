"""Parquet files: the metadata are checked before any data are unpacked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from service.sandbox.parsing import arrow_columns
from service.sandbox.parsing.headers import names_of
from service.sandbox.parsing.options import Limits
from service.sandbox.parsing.packed_files import Bytes
from service.sandbox.parsing.raw_columns import RawColumn, RawTable
from service.sandbox.parsing.refusals import Refused, quoted, reading
from service.sandbox.parsing.sources import check_names, check_size
from service.sandbox.parsing.tables import MAX_COLUMNS

MAX_THRIFT = 16 * 2**20
"""Bytes of a text, and entries of a list, in the file's metadata."""
GROUP = 32
"""Columns that are unpacked together."""
CODE_BYTES = 4
"""Of a cell in memory, at least."""
UNPACKED = 2
"""Unpacked size divided by the largest dataset's size, at most: 64-bit numbers are converted to 32 bits."""


def table_of(path: Path, limits: Limits) -> pa.Table:
    """Return the table in a Parquet file.

    Raises:
        Refused: The file is not valid Parquet, has nested columns, or is too large.
    """
    with reading("The Parquet file"):
        file = parquet.ParquetFile(
            path,
            memory_map=False,
            pre_buffer=False,
            thrift_string_size_limit=MAX_THRIFT,
            thrift_container_size_limit=MAX_THRIFT,
        )
        metadata, schema = file.metadata, file.schema_arrow
    _check(metadata, schema, limits)
    with reading("The Parquet file"):
        table = file.read(use_threads=False)
    if table.num_rows != metadata.num_rows:
        message = f"The file declares {metadata.num_rows:,} rows, but has {table.num_rows:,}."
        raise Refused("header_lies", message)
    return table


def raw_table_of(content: Bytes, limits: Limits) -> RawTable:
    """Return the table in a Parquet file; a few columns are unpacked at a time.

    Raises:
        Refused: The file is not valid Parquet, is too large, or has columns that are no values.
    """
    with content.seekable() as source, reading("The Parquet file"):
        file = parquet.ParquetFile(
            source,
            memory_map=False,
            pre_buffer=False,
            thrift_string_size_limit=MAX_THRIFT,
            thrift_container_size_limit=MAX_THRIFT,
        )
        metadata, schema = file.metadata, file.schema_arrow
        _check_size(metadata, schema, limits)
        arrow_columns.check_types(schema)
        if not metadata.num_rows:
            raise Refused("empty", "The file has no rows.")
        notes: list[str] = []
        names = names_of(schema.names, notes)
        columns = [column for begin in range(0, len(names), GROUP) for column in _columns(file, names, begin)]
    return RawTable("parquet", columns, notes)


def _columns(file: parquet.ParquetFile, names: Sequence[str], begin: int) -> Iterator[RawColumn]:
    """Yield the columns at ``begin`` and after, a group of them."""
    schema = file.schema_arrow
    chosen = range(begin, min(begin + GROUP, len(names)))
    table = file.reader.read_all(column_indices=list(chosen), use_threads=False)
    if table.num_rows != file.metadata.num_rows:
        message = f"The file declares {file.metadata.num_rows:,} rows, but has {table.num_rows:,}."
        raise Refused("header_lies", message)
    for at, i in enumerate(chosen):
        yield arrow_columns.raw_column(names[i], table.column(at).cast(schema.field(i).type))


def _check(metadata: parquet.FileMetaData, schema: pa.Schema, limits: Limits) -> None:
    """Check that the metadata are consistent, and describe a table that can be read here."""
    if len(schema) > MAX_COLUMNS:
        raise Refused("too_many_columns", f"The file has {len(schema):,} columns; at most {MAX_COLUMNS:,} work.")
    check_names(schema.names, "column")
    nested = [field for field in schema if pa.types.is_nested(field.type)]
    if nested:
        message = (
            f"The column {nested[0].name!r} is nested ({quoted(str(nested[0].type))}); make one column of each part."
        )
        raise Refused("wrong_dtype", message, place=nested[0].name)
    _check_rows(metadata, schema, limits)


def _check_size(metadata: parquet.FileMetaData, schema: pa.Schema, limits: Limits) -> None:
    if len(schema) > MAX_COLUMNS:
        raise Refused("too_many_columns", f"The file has {len(schema):,} columns; at most {MAX_COLUMNS:,} work.")
    _check_rows(metadata, schema, limits)
    check_size(metadata.num_rows * len(schema) * CODE_BYTES, limits.dataset_bytes)


def _check_rows(metadata: parquet.FileMetaData, schema: pa.Schema, limits: Limits) -> None:
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    if metadata.num_rows < 0 or sum(group.num_rows for group in groups) != metadata.num_rows:
        raise Refused("header_lies", "The rows of the file's row groups do not add up to the number that it declares.")
    most = UNPACKED * limits.dataset_bytes
    unpacked = max(sum(max(group.total_byte_size, 0) for group in groups), metadata.num_rows * len(schema) // 8)
    if unpacked > most:
        message = f"The file declares an unpacked size of {unpacked:,} bytes; this server accepts at most {most:,}."
        raise Refused("too_large", message)
