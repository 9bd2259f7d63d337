"""Histories: the metrics of a run for every epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fitwell import dataframes
from fitwell.svg_chart import svg
from fitwell.sync_async import View

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


class History(View):
    """The metrics of every epoch; each series is parallel to ``epoch``. Notebooks display its curves."""

    run_id: str
    complete: bool
    downsampled: bool = False
    epoch: list[int]
    steps: list[int]
    revision: int
    series: dict[str, list[float | None]]
    nonfinite: dict[str, dict[str, str]]

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """Yield name and value of the fields in ``repr``; of the series, only their names."""
        yield from (("run_id", self.run_id), ("epochs", len(self.epoch)), ("series", list(self.series)))

    def __getitem__(self, name: str) -> Any:
        """Return a series by its name, or a field."""
        return self.series[name] if name in self.series else super().__getitem__(name)

    def columns(self) -> dict[str, list[Any]]:
        """Return epoch, steps and every series as columns; values that JSON cannot represent are nan or inf again."""
        columns: dict[str, list[Any]] = {"epoch": list(self.epoch), "steps": list(self.steps)}
        for name, values in self.series.items():
            nonfinite = self.nonfinite.get(name, {})
            columns[name] = [
                float(nonfinite[str(epoch)]) if str(epoch) in nonfinite else value
                for epoch, value in zip(self.epoch, values, strict=True)
            ]
        return columns

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas data frame with a row per epoch and a column per series; missing values are nan.

        Raises:
            NotInstalled: pandas is not installed.
        """
        columns = self.columns()
        filled = {name: [float("nan") if one is None else one for one in column] for name, column in columns.items()}
        return dataframes.pandas(filled, "epoch")

    def to_polars(self) -> pl.DataFrame:
        """Return a polars data frame with a row per epoch and a column per series; missing values are null.

        Raises:
            NotInstalled: polars is not installed.
        """
        return dataframes.polars(self.columns())

    def to_svg(
        self, *, title: str = "", width: int = 640, height: int = 320, log: bool = False, axis: str = "epoch"
    ) -> str:
        """Return the loss curves as SVG; text and axes inherit the colors of the page, and ``axis`` names an epoch."""
        return svg(self.epoch, self.series, title=title, width=width, height=height, log=log, axis=axis)

    def _repr_html_(self) -> str:
        return self.to_svg(title=self.run_id)
