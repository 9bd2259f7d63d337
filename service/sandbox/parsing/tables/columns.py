"""A table in memory: columns of one type each, as the file has them, before anything is prepared for training.

- number: float64, NaN is missing;
- date: float64, seconds since 1970 UTC, NaN is missing;
- category: int32 codes into ``levels``, −1 is missing;
- boolean: the same, with the levels "false" and "true";
- text, id: the same, but never inputs of a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from service.sandbox.parsing.options import ColumnType, Format, Mark
from service.sandbox.parsing.sources import Values

MISSING = -1
"""The code of a missing value."""
CODED: tuple[ColumnType, ...] = ("category", "boolean", "text", "id")
"""The types whose values are codes."""
BOOLEAN_LEVELS = ("false", "true")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table, and how it was read."""

    name: str
    type: ColumnType
    values: Values
    """One for each row, (N,)."""
    levels: tuple[str, ...] = ()
    """The different texts, sorted; of coded types only."""
    has_time: bool = False
    """Whether a date has a time of day other than midnight."""
    decimal: Mark = "."
    """The decimal mark of a number; the point unless commas were read as decimal marks."""
    day_first: bool | None = None
    """Whether a date such as 1/2/2024 has its day first; None if no date is written like that."""
    notes: tuple[str, ...] = ()
    """Decisions and warnings about this column, as sentences."""

    @property
    def missing(self) -> Values:
        """Whether the value of each row is missing, (N,) bool."""
        absent: Values = self.values == MISSING if self.type in CODED else np.isnan(self.values)
        return absent

    def take(self, rows: Values) -> Column:
        """Return the column of these rows."""
        return replace(self, values=self.values[rows])


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a file: its columns in order, all of one length, and notes on how it was read."""

    format: Format
    columns: Sequence[Column]
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Number of rows, N."""
        return len(self.columns[0].values) if self.columns else 0
