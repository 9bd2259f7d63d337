"""Comparisons of runs as clients see them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from service.runs.comparison import Figures, RunComparison, Series
from service.runs.differences import ABSENT, Difference
from service.runs.states import Status


class ComparedRunView(BaseModel):
    """A run with its figures."""

    id: str
    name: str | None
    status: Status
    study_id: str | None
    arm: str | None
    seed: int
    epoch: int
    best_epoch: int | None = Field(description="The epoch with the lowest held-out loss; null before it is known.")
    best: dict[str, float | None] = Field(description="All series at the best epoch; empty without one.")
    last: dict[str, float | None] = Field(description="All series at the last epoch.")

    @classmethod
    def of(cls, figures: Figures) -> ComparedRunView:
        """Return the view of a run's figures."""
        run = figures.run
        names = ("id", "name", "status", "study_id", "arm", "seed", "epoch")
        return cls(
            **{name: getattr(run, name) for name in names},
            best_epoch=None if run.best is None else run.best["epoch"],
            best=dict(figures.best),
            last=dict(figures.last),
        )


class DifferenceView(BaseModel):
    """A field in which the specs differ."""

    path: str
    values: list[Any] = Field(description="One for each run; null where the spec lacks the field.")

    @classmethod
    def of(cls, difference: Difference) -> DifferenceView:
        """Return the view of a difference."""
        return cls(path=difference.path, values=[None if one == ABSENT else one for one in difference.values])


class SeriesView(BaseModel):
    """A series, and the runs that measure it like the first run."""

    name: str
    comparable: list[str] = Field(description="Ids of the runs that measure it as the first one does.")
    excluded: dict[str, str] = Field(description="Why other runs do not, by id: other data, another loss or axis.")
    note: str | None = Field(description="What to bear in mind, such as differing validation rows.")

    @classmethod
    def of(cls, series: Series) -> SeriesView:
        """Return the view of a series."""
        return cls(
            name=series.name, comparable=list(series.comparable), excluded=dict(series.excluded), note=series.note
        )


class RunComparisonView(BaseModel):
    """Runs side by side. One run of each says nothing about chance; a study with several seeds does."""

    object: Literal["run_comparison"] = "run_comparison"
    runs: list[ComparedRunView]
    differences: list[DifferenceView] = Field(description="Fields of the specs that differ.")
    series: list[SeriesView]

    @classmethod
    def of(cls, comparison: RunComparison) -> RunComparisonView:
        """Return the view of a comparison."""
        return cls(
            runs=[ComparedRunView.of(one) for one in comparison.figures],
            differences=[DifferenceView.of(one) for one in comparison.differing],
            series=[SeriesView.of(one) for one in comparison.series],
        )
