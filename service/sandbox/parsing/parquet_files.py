"""Parquet files: the metadata are checked before any data are unpacked."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from service.sandbox.parsing.options import Limits
from service.sandbox.parsing.refusals import Refused, quoted, reading
from service.sandbox.parsing.sources import check_names
from service.sandbox.parsing.tables import MAX_COLUMNS

MAX_THRIFT = 16 * 2**20
"""Bytes of a text, and entries of a list, in the file's metadata."""
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
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    if metadata.num_rows < 0 or sum(group.num_rows for group in groups) != metadata.num_rows:
        raise Refused("header_lies", "The rows of the file's row groups do not add up to the number that it declares.")
    most = UNPACKED * limits.dataset_bytes
    unpacked = max(sum(max(group.total_byte_size, 0) for group in groups), metadata.num_rows * len(schema) // 8)
    if unpacked > most:
        message = f"The file declares an unpacked size of {unpacked:,} bytes; this server accepts at most {most:,}."
        raise Refused("too_large", message)
