"""Parquet: what the file says of itself is weighed before anything of it is unpacked."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from service.sandbox.parsing.options import Limits
from service.sandbox.parsing.refusals import Refused, quoted, reading
from service.sandbox.parsing.sources import check_names
from service.sandbox.parsing.tables import MOST_COLUMNS

MOST_THRIFT = 16 * 2**20
"""Bytes of one text, and entries of one list, in the file's own description."""
UNPACKED = 2
"""How many times as large as the largest dataset a file may be, unpacked: numbers of 64 bits become 32."""


def table_of(path: Path, limits: Limits) -> pa.Table:
    """The table in a Parquet file.

    Raises:
        Refused: it is none, has nested columns, or is larger than it may be.
    """
    with reading("The Parquet file"):
        file = parquet.ParquetFile(
            path,
            memory_map=False,
            pre_buffer=False,
            thrift_string_size_limit=MOST_THRIFT,
            thrift_container_size_limit=MOST_THRIFT,
        )
        about, schema = file.metadata, file.schema_arrow
    _check(about, schema, limits)
    with reading("The Parquet file"):
        table = file.read(use_threads=False)
    if table.num_rows != about.num_rows:
        message = f"The file says that it has {about.num_rows:,} rows, and has {table.num_rows:,}."
        raise Refused("header_lies", message)
    return table


def _check(about: parquet.FileMetaData, schema: pa.Schema, limits: Limits) -> None:
    """See that the file's own description can be true, and is of something that can be read here."""
    if len(schema) > MOST_COLUMNS:
        raise Refused("too_many_columns", f"The file has {len(schema):,} columns; at most {MOST_COLUMNS:,} work.")
    check_names(schema.names, "column")
    nested = [field for field in schema if pa.types.is_nested(field.type)]
    if nested:
        message = (
            f"The column {nested[0].name!r} is nested ({quoted(str(nested[0].type))}); make one column of each part."
        )
        raise Refused("wrong_dtype", message, place=nested[0].name)
    groups = [about.row_group(i) for i in range(about.num_row_groups)]
    if about.num_rows < 0 or sum(group.num_rows for group in groups) != about.num_rows:
        raise Refused("header_lies", "The file's row groups do not have as many rows as it says.")
    most = UNPACKED * limits.dataset_bytes
    unpacked = max(sum(max(group.total_byte_size, 0) for group in groups), about.num_rows * len(schema) // 8)
    if unpacked > most:
        message = f"The file says that it unpacks to {unpacked:,} bytes; this server takes at most {most:,}."
        raise Refused("too_large", message)
