"""NumPy files: one array of two dimensions, whose columns are named 0, 1, 2 …."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy

from service.sandbox.parsing.formats import arrow_columns
from service.sandbox.parsing.formats.packed_files import Bytes
from service.sandbox.parsing.formats.raw_columns import RawTable
from service.sandbox.parsing.options import Limits, Options
from service.sandbox.parsing.refusals import Refused, reading
from service.sandbox.parsing.sources import MAX_COLUMNS, Values, check_size

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
NUMBER_BYTES = 8


def table_of(content: Bytes, limits: Limits) -> RawTable:
    """Return the table in a .npy file.

    Raises:
        Refused: The array is not a table of numbers, or its header does not match its size.
    """
    with content.seekable() as file, reading("The .npy file"):
        version = npy.read_magic(file)
        if version not in HEADERS:
            raise Refused("unreadable", f"The file has version {version} of the .npy format; save it again.")
        shape, fortran, dtype = HEADERS[version](file)
        begin, end = file.tell(), file.seek(0, 2)
        _check(shape, dtype, end - begin, limits)
        file.seek(begin)
        array = np.frombuffer(file.read(), dtype).reshape(shape, order="F" if fortran else "C")
    notes = [f"The columns of the array are named 0 to {shape[1] - 1}."]
    columns = [pa.array(_native(array[:, i])) for i in range(shape[1])]
    table = pa.table(columns, names=[str(i) for i in range(shape[1])])
    raw = arrow_columns.table_of(table, "npy", Options())
    raw.notes = notes
    return raw


def _check(shape: tuple[int, ...], dtype: np.dtype[Any], size: int, limits: Limits) -> None:
    """Check that the header describes a table of numbers, and the bytes that follow it."""
    if dtype.hasobject:
        raise Refused("pickle", "The file contains Python objects (pickles), which are never read; save numbers.")
    if dtype.kind not in "biuf" or dtype.itemsize > NUMBER_BYTES:
        raise Refused(
            "wrong_dtype", f"The array has the type {dtype}; it can be whole or real numbers of up to 64 bits."
        )
    if len(shape) != 2 or min(shape) < 0:
        message = (
            f"The array has the shape {list(shape)[:8]}; a table is (rows, columns), with the target as one of the "
            "columns. Save images with their labels by numpy.savez(path, x=images, y=labels)."
        )
        raise Refused("wrong_shape", message)
    if shape[0] * shape[1] * dtype.itemsize != size:
        message = f"The file's header declares the shape {list(shape)}, but {size:,} bytes follow."
        raise Refused("header_lies", message)
    if 0 in shape:
        raise Refused("empty", f"The array has the shape {list(shape)}, so it is empty.")
    if shape[1] > MAX_COLUMNS:
        raise Refused("too_many_columns", f"The file has {shape[1]:,} columns; at most {MAX_COLUMNS:,} work.")
    check_size(shape[0] * shape[1] * NUMBER_BYTES, limits.dataset_bytes)


def _native(column: Values) -> Values:
    """Return a column in this machine's byte order."""
    return np.ascontiguousarray(column, column.dtype.newbyteorder("="))
