"""A study's runs as measurements: the group, seed and cell (the values of all other factors) of each run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa

from service.errors import SpecRefused
from service.runs.queries import epochs, series
from service.runs.states import TERMINAL
from service.statistics.pairing import Measurement, State
from service.store.rows import Row
from service.studies import queries as studies
from service.studies.metrics import EMPTY, EPOCHS, EpochRule, SeriesOfRuns


class Slot(NamedTuple):
    """A place in the study's design and its run; None if the run was deleted and others of its seed were not."""

    group: str
    seed: int
    """The replicate: the run's seed, or its split if seeds are averaged within splits."""
    cell: str
    run: Row | None


@dataclass(frozen=True)
class ReplicateDesign:
    """The replicates of an arm: its seeds, or its splits if every split has several seeds."""

    folds: int | None = None
    """Number of folds that are averaged within a seed."""
    seeds_within_split: Sequence[int] | None = None
    """Seeds that are averaged within a split."""

    def replicate(self, run: Row) -> int:
        """Return the number of the run's replicate."""
        return int(run.seed if self.seeds_within_split is None else run.split)

    def cell(self, run: Row) -> str:
        """Return the cell of the run within its replicate."""
        if self.folds is not None:
            return f" fold {run.fold}"
        return "" if self.seeds_within_split is None else f" seed {run.seed}"

    @property
    def cells(self) -> Sequence[str]:
        """All cells of a replicate."""
        if self.folds is not None:
            return [f" fold {fold}" for fold in range(self.folds)]
        return [""] if self.seeds_within_split is None else [f" seed {seed}" for seed in self.seeds_within_split]


def assign_slots(runs: Sequence[Row], groups: Sequence[tuple[str, str]], design: ReplicateDesign) -> list[Slot]:
    """Assign runs to slots by their (group, cell) in ``groups`` and their cell of the design.

    A replicate is complete only with all its cells, so the slots of deleted runs of a replicate are included.
    """
    if design == ReplicateDesign():
        return [Slot(group, run.seed, cell, run) for run, (group, cell) in zip(runs, groups, strict=True)]
    expected = {
        (group, design.replicate(run), cell + own): None
        for run, (group, cell) in zip(runs, groups, strict=True)
        for own in design.cells
    }
    existing = {
        (group, design.replicate(run), cell + design.cell(run)): run
        for run, (group, cell) in zip(runs, groups, strict=True)
    }
    return [Slot(*place, run) for place, run in {**expected, **existing}.items()]


def load_series(connection: sa.Connection, study_id: str, runs: Sequence[Row], names: Sequence[str]) -> SeriesOfRuns:
    """Load the stored series of finished runs, and the values recorded so far of all others."""
    values = {(row.run_id, row.name): series.unpack(row) for row in studies.series_of(connection, study_id, names)}
    for run in runs:
        if run.epoch and not run.has_series:
            recorded = [row for row in epochs.of_run(connection, run.reused_from or run.id) if row.epoch > 0]
            values |= {
                (run.id, name): np.frombuffer(series.pack(recorded, name), "<f8")
                for name in names
                if any(name in row.metrics for row in recorded)
            }
    if EPOCHS in names:
        values |= {(run.id, EPOCHS): np.arange(1.0, run.epoch + 1) for run in runs}
    return values


def check_series_exists(values: SeriesOfRuns, metric: str, runs: Iterable[Row], pointer: str = "metric") -> None:
    """Refuse a series that no run has.

    Raises:
        SpecRefused: No run has a series of this name.
    """
    if not any(name == metric for _, name in values) and (values or any(run.status == "succeeded" for run in runs)):
        raise SpecRefused.at(pointer, "no_such_series", f"No run of the study has a series {metric!r}.")


def measure(slots: Iterable[Slot], values: SeriesOfRuns, metric: str, rule: EpochRule) -> list[Measurement]:
    """Return every run's value at the epoch of ``rule``."""
    return [Measurement(slot.group, slot.seed, slot.cell, *_value(slot.run, values, metric, rule)) for slot in slots]


def run_state(run: Row | None) -> State:
    """Return the state of a run's measurement: "measured" if the run succeeded, so that it can be measured."""
    if run is None:
        return "missing"
    if run.status == "failed" and run.error_code == "diverged":
        return "diverged"
    if run.status not in TERMINAL:
        return "unfinished"
    return "measured" if run.status == "succeeded" else "missing"


def _value(run: Row | None, series_of_runs: SeriesOfRuns, metric: str, rule: EpochRule) -> tuple[State, float]:
    state = run_state(run)
    if run is None or state != "measured":
        return state, np.nan
    values = series_of_runs.get((run.id, metric), EMPTY)
    if not len(values):
        return "missing", np.nan
    epoch = rule.epoch(run, series_of_runs, metric)
    if not 1 <= epoch <= len(values) or not np.isfinite(values[epoch - 1]):
        return "missing", np.nan
    return "measured", float(values[epoch - 1])
