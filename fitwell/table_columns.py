"""Columns of a table: their types, roles and statistics, and how they were read."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from fitwell.sync_async import View
from fitwell.tabular import Tabular

STATISTICS = ("distinct", "mean", "std", "min", "max", "first", "last")


class Column(View):
    """A column in the file of a table; statistics are those of the training rows."""

    name: str
    type: str
    role: str
    levels: list[str] = Field(default=[])
    missing: int = 0
    statistics: dict[str, Any] = Field(default={})
    notes: list[str] = Field(default=[])

    def figures(self) -> dict[str, Any]:
        """Return the statistics that are single values; dates have ``first`` and ``last`` instead of min and max."""
        names = {"min": "first", "max": "last"} if self.type == "date" else {}
        return {names.get(name, name): self.statistics[name] for name in self.statistics if name in STATISTICS}


class ColumnTable(Tabular):
    """A row for each column of a dataset. Notebooks display it; it converts to data frames."""

    dataset: str
    rows: list[Column]

    def columns(self) -> dict[str, list[Any]]:
        """Return name, type, role, missing values, statistics and notes as columns."""
        figures = [row.figures() for row in self.rows]
        present = [name for name in STATISTICS if any(name in one for one in figures)]
        return {
            "column": [row.name for row in self.rows],
            "type": [row.type for row in self.rows],
            "role": [row.role for row in self.rows],
            "missing": [row.missing for row in self.rows],
            **{name: [one.get(name) for one in figures] for name in present},
            "notes": [" ".join(row.notes) for row in self.rows],
        }

    def _caption(self) -> str:
        return f"Columns of {self.dataset}"
