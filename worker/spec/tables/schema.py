"""The columns of a stored table."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import Field

from worker.spec.part import Spec

ColumnType = Literal["number", "category", "boolean", "date"]
CODED: tuple[ColumnType, ...] = ("category", "boolean")
"""Types that are stored as codes."""


class Column(Spec):
    """A column that models use as an input."""

    name: str
    type: ColumnType
    levels: tuple[str, ...] = Field(
        default=(), description="The texts of a category in the training part, sorted; false and true of a boolean."
    )
    missing: bool = Field(default=False, description="Whether rows of the training part lack a value.")
    has_time: bool = Field(default=False, description="Whether dates have a time of day.")
    monthly: bool = Field(default=False, description="Whether dates are months: the first day of each.")
    decimal: Literal[".", ","] = Field(
        default=".", exclude_if=lambda mark: mark == ".", description="The decimal mark of the dataset's texts."
    )
    day_first: bool | None = Field(
        default=None,
        exclude_if=lambda order: order is None,
        description="Whether 1/2/2024 is February 1; null if the dataset has no such dates.",
    )

    @property
    def coded(self) -> bool:
        """Whether values are codes of ``levels``."""
        return self.type in CODED


class TableSchema(Spec):
    """The columns of a table in order; each has a position among the columns that are stored like it."""

    columns: tuple[Column, ...]

    @cached_property
    def positions(self) -> dict[str, int]:
        """The position of each column among the coded or the other ones, by name."""
        counts = {True: 0, False: 0}
        positions = {}
        for column in self.columns:
            positions[column.name] = counts[column.coded]
            counts[column.coded] += 1
        return positions

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """The columns by name."""
        return {column.name: column for column in self.columns}
