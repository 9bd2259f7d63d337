"""Rows of a typed table.

Numbers and dates are float64, NaN where missing; dates are seconds since 1970 UTC. Categories and booleans are int32
codes of the column's levels, ``MISSING`` where missing, and ``UNSEEN`` for a text that the training part lacks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.spec.tables.schema import TableSchema

if TYPE_CHECKING:
    import numpy as np

    Values = np.ndarray[Any, Any]
    """Of one column, (n,)."""

MISSING, UNSEEN = -1, -2


@dataclass(frozen=True, eq=False)
class TableRows:
    """Rows with the columns of ``schema``: ``numbers`` (n, …) float64, and ``codes`` (n, …) int32."""

    schema: TableSchema
    numbers: Values
    codes: Values

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: Values) -> TableRows:
        """Return the rows at these positions."""
        return TableRows(self.schema, self.numbers[rows], self.codes[rows])

    def values(self, name: str) -> Values:
        """Return the values of a column, (n,)."""
        block = self.codes if self.schema.by_name[name].coded else self.numbers
        column: Values = block[:, self.schema.positions[name]]
        return column
