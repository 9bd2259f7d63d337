"""The first epoch at which a metric crosses a bound, as a measurement of a run."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from service.statistics.pairing import Measurement, State
from service.store.rows import Row
from service.studies.measurements import Slot, run_state
from service.studies.metrics import EMPTY, SeriesOfRuns, lower_is_better


def first_epochs(
    slots: Iterable[Slot], values: SeriesOfRuns, metric: str, crosses: float, after: str | None = None
) -> list[Measurement]:
    """Return every run's first epoch at which ``metric`` crosses the bound ``crosses``; lower is better.

    A metric of which low values are better crosses it downward, another upward; reaching it suffices. With ``after``,
    the epoch is divided by that of the metric ``after``. A run that never crosses the bound has diverged: it loses
    against any that does. Epochs without an evaluation are NaN and cross nothing.
    """
    return [
        Measurement(slot.group, slot.seed, slot.cell, *_value(slot.run, values, metric, crosses, after))
        for slot in slots
    ]


def _value(
    run: Row | None, series_of_runs: SeriesOfRuns, metric: str, crosses: float, after: str | None
) -> tuple[State, float]:
    state = run_state(run)
    if run is None or state != "measured":
        return state, np.nan
    epochs = []
    for name in (metric,) if after is None else (metric, after):
        values = series_of_runs.get((run.id, name), EMPTY)
        if not len(values):
            return "missing", np.nan
        crossed = values <= crosses if lower_is_better(name) else values >= crosses
        if not crossed.any():
            return "diverged", np.nan
        epochs.append(int(crossed.argmax()) + 1)
    return "measured", epochs[0] / (1 if after is None else epochs[1])
