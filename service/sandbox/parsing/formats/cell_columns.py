"""Columns of cells that are Python values, gathered block by block: all numbers, all dates, or texts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pyarrow as pa

from service.sandbox.parsing.formats.raw_columns import Dates, Numbers, RawColumn, Texts
from service.sandbox.parsing.sources import Values
from service.sandbox.parsing.tables.columns import MISSING

Cell = int | float | str | bool | dt.datetime | dt.date | dt.time | dt.timedelta
Kind = Literal["number", "date", "text"]
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - cells have no time zone
SECONDS_PER_DAY = 86400


class CellColumn:
    """Gathers a column; "" is an empty cell."""

    def __init__(self) -> None:
        self._kind: Kind | None = None
        self._blocks: list[Values | list[str]] = []

    def append(self, cells: Sequence[Cell]) -> None:
        """Add a block of cells."""
        kind = _kind(cells)
        if self._kind is None or kind is None:
            self._kind = self._kind or kind
        elif self._kind not in (kind, "text"):
            self._blocks = [_texts_of(block, self._kind) for block in self._blocks]
            self._kind = "text"
        if self._kind == "text" and self._blocks and not isinstance(self._blocks[0], list):
            self._blocks = [[""] * len(block) for block in self._blocks]  # empty so far
        self._blocks.append(_block(cells, self._kind))

    def column(self, name: str) -> RawColumn:
        """Return the whole column."""
        if self._kind == "text":
            encoded = pa.chunked_array(map(pa.array, self._blocks), pa.string()).combine_chunks().dictionary_encode()
            codes = encoded.indices.fill_null(MISSING).to_numpy(zero_copy_only=False).astype(np.int32)
            return RawColumn(name, Texts(codes, encoded.dictionary))
        values = np.concatenate(self._blocks)
        if self._kind == "date":
            present = values[~np.isnan(values)]
            return RawColumn(name, Dates(values, bool((present % SECONDS_PER_DAY != 0).any())))
        return RawColumn(name, Numbers(values))


def _kind(cells: Sequence[Cell]) -> Kind | None:
    """Return the kind of all cells that are not empty; None without any."""
    types = set(map(type, cells))
    if str in types and not any(cell for cell in cells if type(cell) is str):
        types.remove(str)
    if not types:
        return None
    if types <= {int, float, dt.timedelta}:
        return "number"
    return "date" if types <= {dt.datetime, dt.date} else "text"


def _block(cells: Sequence[Cell], kind: Kind | None) -> Values | list[str]:
    if kind == "text":
        return [text_of(cell) for cell in cells]
    return np.array([_number_of(cell) for cell in cells], np.float64)


def _number_of(cell: Cell) -> float:
    """Return the number of a cell, or the seconds since 1970 of a date."""
    if isinstance(cell, int | float):
        return float(cell)
    if isinstance(cell, dt.timedelta):
        return cell.total_seconds()
    if isinstance(cell, dt.datetime):
        return (cell - EPOCH).total_seconds()
    if isinstance(cell, dt.date):
        return float((cell - EPOCH.date()).days * SECONDS_PER_DAY)
    return np.nan


def text_of(cell: Cell) -> str:
    """Return a cell as text: whole numbers without a point, dates as ISO 8601 has them."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, dt.datetime):
        return cell.isoformat(" ")
    if isinstance(cell, dt.date | dt.time):
        return cell.isoformat()
    return str(cell.total_seconds()) if isinstance(cell, dt.timedelta) else str(cell)


def _texts_of(block: Values | list[str], kind: Kind) -> list[str]:
    if isinstance(block, list):
        return block
    present = [float(value) for value in block]
    if kind == "number":
        return ["" if np.isnan(value) else text_of(value) for value in present]
    return ["" if np.isnan(value) else text_of(EPOCH + dt.timedelta(seconds=value)) for value in present]
