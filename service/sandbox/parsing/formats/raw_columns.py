"""Columns as a file stores them, before their types are decided: numbers, dates or texts, and nothing lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.sandbox.parsing.options import ColumnType, Format, Mark
from service.sandbox.parsing.sources import Values

SAMPLE = 200
"""Texts on which a pattern is tried before all are."""


@dataclass
class Numbers:
    """Float64, NaN is missing, (N,)."""

    values: Values


@dataclass
class Dates:
    """Float64 seconds since 1970 UTC, NaN is missing, (N,)."""

    values: Values
    has_time: bool


@dataclass
class Texts:
    """Codes of texts, int32, −1 is missing, (N,), and the different texts, which may be unused or repeated."""

    codes: Values
    levels: pa.StringArray


def share_of(texts: pa.Array, pattern: str) -> float:
    """Return the share of texts that match, of at most ``SAMPLE`` of them from all over the column."""
    places = np.unique(np.linspace(0, len(texts) - 1, min(len(texts), SAMPLE)).astype(np.int64))
    return float(
        pc.mean(pc.cast(pc.match_substring_regex(texts.take(pa.array(places)), pattern), pa.float64())).as_py()
    )


@dataclass
class RawColumn:
    """A column, and how it was read so far."""

    name: str
    cells: Numbers | Dates | Texts
    declared: ColumnType | None = None
    """The type that the file itself declares, where that is more than its cells tell."""
    tokens: Counter[str] = field(default_factory=Counter)
    """Number of cells with each text that stands for a missing value."""
    trimmed: bool = False
    """Whether spaces around values were removed."""
    notes: list[str] = field(default_factory=list)
    decimal: Mark = "."
    """The decimal mark with which numbers were read."""
    infinite: str | None = None
    """The text of the first number that is infinite."""
    pointed: Values | None = None
    """Which of the numbers have a point, (N,) bool, if all points may separate thousands; else None."""


@dataclass
class RawTable:
    """A table of raw columns, all of one length, and notes on how the file was read."""

    format: Format
    columns: list[RawColumn]
    notes: list[str] = field(default_factory=list)
    decimal_comma: bool = False
    """Whether commas in numbers are likely decimal, as in files delimited by semicolons."""

    @property
    def rows(self) -> int:
        """Number of rows, N."""
        cells = self.columns[0].cells
        return len(cells.codes if isinstance(cells, Texts) else cells.values)
