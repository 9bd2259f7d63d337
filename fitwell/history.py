"""Histories: what was measured of a run after every epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fitwell import dataframes
from fitwell.svg_chart import svg
from fitwell.sync_async import View

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


class History(View):
    """The losses of every epoch; each series is parallel to ``epoch``. In a notebook it shows its curves."""

    run_id: str
    complete: bool
    downsampled: bool = False
    epoch: list[int]
    steps: list[int]
    revision: int
    series: dict[str, list[float | None]]
    nonfinite: dict[str, dict[str, str]]

    def __getitem__(self, name: str) -> Any:
        """A series by its name; else a field."""
        return self.series[name] if name in self.series else super().__getitem__(name)

    def columns(self) -> dict[str, list[Any]]:
        """Epoch, steps and every series, as the columns of a table; what JSON cannot hold is nan or inf again."""
        columns: dict[str, list[Any]] = {"epoch": list(self.epoch), "steps": list(self.steps)}
        for name, values in self.series.items():
            wild = self.nonfinite.get(name, {})
            columns[name] = [
                float(wild[str(epoch)]) if str(epoch) in wild else value
                for epoch, value in zip(self.epoch, values, strict=True)
            ]
        return columns

    def to_pandas(self) -> pd.DataFrame:
        """A row for each epoch, a column for each series; what was not measured is nan.

        Raises:
            NotInstalled: there is no pandas.
        """
        columns = self.columns()
        known = {name: [float("nan") if one is None else one for one in column] for name, column in columns.items()}
        return dataframes.pandas(known, "epoch")

    def to_polars(self) -> pl.DataFrame:
        """A row for each epoch, a column for each series; what was not measured is null.

        Raises:
            NotInstalled: there is no polars.
        """
        return dataframes.polars(self.columns())

    def to_svg(self, *, title: str = "", width: int = 640, height: int = 320, log: bool = False) -> str:
        """The losses as a picture that takes the colours of what it is shown on."""
        return svg(self.epoch, self.series, title=title, width=width, height=height, log=log)

    def _repr_html_(self) -> str:
        return self.to_svg(title=self.run_id)
