"""Arrow files (Feather) and streams: batch by batch, each validated before it is used."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from pyarrow import ipc

from service.sandbox.parsing.formats import arrow_columns
from service.sandbox.parsing.formats.headers import names_of
from service.sandbox.parsing.formats.packed_files import Bytes
from service.sandbox.parsing.formats.raw_columns import RawTable
from service.sandbox.parsing.options import Limits, Options
from service.sandbox.parsing.refusals import Refused, reading
from service.sandbox.parsing.sources import MAX_COLUMNS, check_size

FILE = b"ARROW1"
NUMBER_BYTES = 8


def table_of(content: Bytes, options: Options, limits: Limits) -> RawTable:
    """Return the table in an Arrow file or stream.

    Raises:
        Refused: The file is invalid, too large, or has columns that are no values.
    """
    is_file = content.head(len(FILE)) == FILE
    with content.seekable() as file, reading("The Arrow file"):
        source = pa.PythonFile(file, mode="r")
        opened = ipc.open_file(source) if is_file else ipc.open_stream(source)
        if len(opened.schema) > MAX_COLUMNS:
            message = f"The file has {len(opened.schema):,} columns; at most {MAX_COLUMNS:,} work."
            raise Refused("too_many_columns", message)
        names = names_of(opened.schema.names, [])
        arrow_columns.check_types(opened.schema, arrow_columns.dropped_positions(names, options))
        batches = list(_checked(_batches(opened, is_file=is_file), limits))
        return arrow_columns.table_of(pa.Table.from_batches(batches, opened.schema), "arrow", options)


def _batches(
    opened: ipc.RecordBatchFileReader | ipc.RecordBatchStreamReader, *, is_file: bool
) -> Iterator[pa.RecordBatch]:
    if is_file:
        return (opened.get_batch(i) for i in range(opened.num_record_batches))
    return iter(opened)


def _checked(batches: Iterator[pa.RecordBatch], limits: Limits) -> Iterator[pa.RecordBatch]:
    """Yield the batches, whose offsets lead nowhere else, while their numbers fit into a dataset."""
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        check_size(rows * NUMBER_BYTES * batch.num_columns, limits.dataset_bytes)
        batch.validate(full=True)
        yield batch
