"""A study's runs as measured values: of which group each is, at which seed, and in which cell of what else varies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from service.errors import FieldError, SpecRefused
from service.runs.queries import epochs, series
from service.runs.states import TERMINAL
from service.statistics.pairing import Measurement, State
from service.store.rows import Row
from service.studies import queries as studies

Floats = NDArray[np.float64]
Kept = Mapping[tuple[str, str], Floats]
"""Values from epoch 1 on, by run and series."""
NOTHING: Floats = np.empty(0)


class Placed(NamedTuple):
    """A run at its place; None where it was deleted, and others at its seed were not."""

    group: str
    seed: int
    cell: str
    run: Row | None


def placed(runs: Sequence[Row], groups: Sequence[tuple[str, str]], folds: int | None) -> list[Placed]:
    """Every run at its place, its group and cell being those in ``groups``; a study's ``folds`` are cells of their own.

    A seed is whole where all folds are, so those that were deleted are there, too.
    """
    if folds is None:
        return [Placed(group, run.seed, cell, run) for run, (group, cell) in zip(runs, groups, strict=True)]
    found = {
        (group, run.seed, f"{cell} fold {fold}"): None
        for run, (group, cell) in zip(runs, groups, strict=True)
        for fold in range(folds)
    }
    there = {(group, run.seed, f"{cell} fold {run.fold}"): run for run, (group, cell) in zip(runs, groups, strict=True)}
    return [Placed(*place, run) for place, run in {**found, **there}.items()]


def kept_series(connection: sa.Connection, study_id: str, runs: Sequence[Row], names: Sequence[str]) -> Kept:
    """Those of the finished runs as they were kept, those of the others as they have come so far."""
    kept = {(row.run_id, row.name): series.unpacked(row) for row in studies.series_of(connection, study_id, names)}
    for run in runs:
        if run.epoch and not run.kept:
            recorded = [row for row in epochs.of_run(connection, run.reused_from or run.id) if row.epoch > 0]
            kept |= {
                (run.id, name): np.frombuffer(series.packed(recorded, name), "<f8")
                for name in names
                if any(name in row.metrics for row in recorded)
            }
    return kept


def check_known(kept: Kept, metric: str, runs: Iterable[Row]) -> None:
    """Refuse a series that no run has.

    Raises:
        SpecRefused: there is none of this name.
    """
    if not any(name == metric for _, name in kept) and (kept or any(run.status == "succeeded" for run in runs)):
        message = f"No run of the study has a series {metric!r}."
        raise SpecRefused(message, errors=[FieldError("metric", "no_such_series", message)])


def measured(places: Iterable[Placed], kept: Kept, metric: str, at: str) -> list[Measurement]:
    """The value of every run at the epoch that is asked for."""
    return [Measurement(one.group, one.seed, one.cell, *_value(one.run, kept, metric, at)) for one in places]


def epoch_of(run: Row, values: Floats, at: str) -> int:
    """The epoch that is asked for, of a run with these ``values``; 0 where it has no best one."""
    if at == "best":
        return int(run.best["epoch"]) if run.best else 0
    return len(values) if at == "last" else int(at.removeprefix("epoch:"))


def _value(run: Row | None, kept: Kept, metric: str, at: str) -> tuple[State, float]:
    if run is None:
        return "missing", np.nan
    if run.status == "failed" and run.error_code == "diverged":
        return "diverged", np.nan
    if run.status not in TERMINAL:
        return "unfinished", np.nan
    values = kept.get((run.id, metric), NOTHING)
    if run.status != "succeeded" or not len(values):
        return "missing", np.nan
    epoch = epoch_of(run, values, at)
    if not 1 <= epoch <= len(values) or not np.isfinite(values[epoch - 1]):
        return "missing", np.nan
    return "measured", float(values[epoch - 1])
