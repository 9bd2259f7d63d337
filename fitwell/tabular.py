"""Results that are tables: as columns, as data frames and in notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from fitwell import dataframes
from fitwell.sync_async import View

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


class Tabular(View):
    """A result with a table, whose first column names its rows."""

    def columns(self) -> dict[str, list[Any]]:
        """Return the table as columns."""
        raise NotImplementedError

    def to_pandas(self) -> pd.DataFrame:
        """Return the table as a pandas data frame, indexed by its first column.

        Raises:
            NotInstalled: pandas is not installed.
        """
        columns = self.columns()
        return dataframes.pandas(columns, next(iter(columns)))

    def to_polars(self) -> pl.DataFrame:
        """Return the table as a polars data frame.

        Raises:
            NotInstalled: polars is not installed.
        """
        return dataframes.polars(self.columns())

    def _caption(self) -> str:
        """Return the caption of the table in a notebook."""
        raise NotImplementedError

    def _displayed(self) -> dict[str, list[Any]]:
        """Return the columns that a notebook displays."""
        return self.columns()

    def _repr_html_(self) -> str:
        columns = self._displayed()
        head = "".join(f"<th>{escape(name)}</th>" for name in columns)
        rows = "".join(
            "<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>"
            for row in zip(*columns.values(), strict=True)
        )
        caption = f"<caption>{escape(self._caption())}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))
