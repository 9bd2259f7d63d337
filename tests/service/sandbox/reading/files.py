"""Reading a file's bytes as a table, and what became of them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.sandbox.parsing.options import Format, Limits, Options, Reading
from service.sandbox.parsing.refusals import Refused
from service.sandbox.parsing.tables.columns import CODED, Column, Table
from service.sandbox.parsing.tables.reading import read_table

LIMITS = Limits(memory_bytes=2**28, dataset_bytes=2**24, seconds=60)


def read(content: bytes | str, **options: Any) -> Table:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        form: Format = options.get("format") or "csv"
        return read_table(Path(file.name), form, Reading(Options(**options), LIMITS))


def refusal(content: bytes | str, **options: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        read(content, **options)
    assert all(error["message"].isprintable() for error in caught.value.report())
    return caught.value


def only(content: bytes | str, **options: Any) -> Column:
    """The first column of a table whose last is its target."""
    return read(content, **options).columns[0]


def column_of(cells: list[str], **options: Any) -> Column:
    """A column of these cells, in a CSV file with a target beside it."""
    rows = "".join('"{}",{}\n'.format(cell.replace('"', '""'), i % 2) for i, cell in enumerate(cells))
    return only(f"x,y\n{rows}", **options)


def cells_of(column: Column) -> list[Any]:
    """The values: numbers, or texts; None is missing."""
    if column.type in CODED:
        return [None if code < 0 else column.levels[code] for code in column.values.tolist()]
    return [None if np.isnan(value) else value for value in column.values.tolist()]


def types_of(table: Table) -> dict[str, str]:
    return {column.name: column.type for column in table.columns}
