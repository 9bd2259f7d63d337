"""The importance of columns over the runs of a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from fitwell.sync_async import View
from fitwell.tabular import Tabular

COLUMNS = ("arm", "column", "n", "mean", "std", "ci_low", "ci_high", "positive")


class ImportanceOptions(TypedDict, total=False):
    """Options of the importance of columns over a study's runs; ``arm`` lists arms, and ``runs`` limits the runs."""

    split: str
    metric: str
    repeats: int
    rows: int
    at: str | None
    arm: Sequence[str]
    runs: int
    columns: int


class ArmColumn(View):
    """How much worse the metric is if a column is permuted, over the replicates of an arm."""

    column: str
    n: int
    mean: float | None
    std: float | None
    ci: tuple[float, float] | None
    positive: float | None


class ArmImportance(View):
    """The importance of the columns of an arm, the most important one first."""

    arm: str
    n: int
    value: float | None
    diverged: int
    unfinished: int
    missing: int
    column_count: int
    columns: list[ArmColumn]


class StudyImportance(Tabular):
    """The importance of columns over a study's runs. Notebooks display it as a table."""

    study_id: str
    at: str
    split: str
    metric: str
    repeats: int
    alpha: float
    generalizes_over: list[str]
    complete: bool
    replicates: list[int]
    left_out: int
    runs: int
    pending: int
    arms: list[ArmImportance]

    def columns(self) -> dict[str, list[Any]]:
        """Return a row for each arm and column."""
        rows = [
            (arm.arm, one.column, one.n, one.mean, one.std, *(one.ci or (None, None)), one.positive)
            for arm in self.arms
            for one in arm.columns
        ]
        return {name: [row[i] for row in rows] for i, name in enumerate(COLUMNS)}

    def _caption(self) -> str:
        return f"Importance of columns: how much worse {self.split}.{self.metric} gets ({self.at} epoch)"
