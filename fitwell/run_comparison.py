"""Comparisons of single runs, which need not belong to a study."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fitwell.sync_async import View
from fitwell.tabular import Tabular

PARTS = ("train.", "val.", "test.")
FIELDS = ("status", "seed", "epoch", "best_epoch")


class ComparedRun(View):
    """A run with its series at the best and the last epoch; ``best`` is empty if no epoch was chosen."""

    id: str
    name: str | None
    status: str
    study_id: str | None
    arm: str | None
    seed: int
    epoch: int
    best_epoch: int | None
    best: dict[str, float | None]
    last: dict[str, float | None]


class SpecDifference(View):
    """A field in which the specs differ, with its value in each run; None where a spec lacks it."""

    path: str
    values: list[Any]


class ComparedSeries(View):
    """A series, the runs that measure it as the first one does, and why others do not, by id."""

    name: str
    comparable: list[str]
    excluded: dict[str, str]
    note: str | None = None


class RunComparison(Tabular):
    """Runs side by side, one in each row. Notebooks display it as a table.

    Figures that are not like for like with those of the first run, because data, loss or axis differ, are left out;
    ``series`` says why. One run of each says nothing about chance: a study with several seeds does.
    """

    runs: list[ComparedRun]
    differences: list[SpecDifference]
    series: list[ComparedSeries]

    def columns(self) -> dict[str, list[Any]]:
        """Return a row for each run as columns: the fields that differ, then the figures at the best and last epoch."""
        names = Counter(run.name for run in self.runs)
        labels = [run.name if run.name and names[run.name] == 1 else run.id for run in self.runs]
        columns: dict[str, list[Any]] = {"run": labels}
        columns |= {field: [getattr(run, field) for run in self.runs] for field in FIELDS}
        columns |= {one.path: one.values for one in self.differences if one.path != "seed"}
        measured = [one for one in self.series if one.name.startswith(PARTS)]
        for at in ("best", "last"):
            for one in measured:
                columns[f"{at}.{one.name}"] = [
                    getattr(run, at).get(one.name) if run.id in one.comparable else None for run in self.runs
                ]
        return columns

    def _caption(self) -> str:
        reasons = {f"{run}: {reason}" for one in self.series for run, reason in one.excluded.items()}
        caption = f"{len(self.runs)} runs, one of each, so differences may be due to chance"
        return caption + (f"; left out: {'; '.join(sorted(reasons))}" if reasons else "")
