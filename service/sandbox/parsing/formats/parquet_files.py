"""Parquet files: the metadata are checked before any data are unpacked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO

import pyarrow as pa
from pyarrow import parquet

from service.sandbox.parsing.formats import arrow_columns
from service.sandbox.parsing.formats.headers import names_of
from service.sandbox.parsing.formats.packed_files import Bytes
from service.sandbox.parsing.formats.raw_columns import RawColumn, RawTable
from service.sandbox.parsing.options import Limits
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


def table_of(content: Bytes, limits: Limits) -> RawTable:
    """Return the table in a Parquet file; a few columns are unpacked at a time.

    Raises:
        Refused: The file is not valid Parquet, is too large, or has columns that are no values.
    """
    with content.seekable() as source, reading("The Parquet file"):
        schema = _opened(source).schema_arrow
        arrow_columns.check_types(schema)
        file = _opened(source, texts=[field.name for field in schema if arrow_columns.is_text(field.type)])
        _check(file.metadata, schema, limits)
        notes: list[str] = []
        names = names_of(schema.names, notes)
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
    chosen = range(begin, min(begin + GROUP, len(names)))
    table = file.reader.read_all(column_indices=list(chosen), use_threads=False)
    if table.num_rows != file.metadata.num_rows:
        message = f"The file declares {file.metadata.num_rows:,} rows, but has {table.num_rows:,}."
        raise Refused("header_lies", message)
    for at, i in enumerate(chosen):
        yield arrow_columns.raw_column(names[i], table.column(at))


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
