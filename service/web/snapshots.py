"""The epoch whose model a run's page and report display: its metrics, predictions, confusion matrix and weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from service.runs.reader import RunReader
from service.runs.run import Run


@dataclass(frozen=True)
class Snapshot:
    """One epoch of a run, by which everything on a page is measured."""

    at: Literal["best", "last"]
    epoch: int
    metrics: Mapping[str, float | None]
    """The series of the epoch."""
    has_choice: bool
    """Whether the run has another epoch to display."""

    @classmethod
    def of(cls, run: Run, reader: RunReader, requested: str) -> Snapshot:
        """Return the best epoch of a run that has ended, unless the last is ``requested``; the last of others."""
        best = run.best["epoch"] if run.terminal and run.best is not None else None
        if best is None or (requested == "last" and best != run.epoch):
            return cls("last", run.epoch, run.last, has_choice=best is not None)
        metrics = run.last if best == run.epoch else reader.metrics(run.id, best)
        return cls("best", best, metrics, has_choice=best != run.epoch)
