"""Recording epochs: the history of runs, and their last and best values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.runs.queries import epochs
from service.store.events import NewEvent
from service.store.rows import Row
from service.workers import queries as leases
from worker.ports import Measurement
from worker.spec.best import judged_by

ETA_WEIGHT = 0.1
"""Weight of the newest epoch in the average time of an epoch; its noise falls to a quarter."""


def record(connection: sa.Connection, rows: Sequence[Row], measured: Mapping[str, Measurement]) -> list[NewEvent]:
    """Record an epoch of each run in ``rows``, which are locked, and return the events.

    Repeating an epoch changes nothing; different values replace it and all later epochs. Runs of a stack are recorded
    together, because sending a statement takes longer than executing it.
    """
    known: dict[str, str] = {}
    for number in {measured[row.id].epoch for row in rows}:
        known |= epochs.digests(connection, [row.id for row in rows if measured[row.id].epoch == number], number)
    new = [row for row in rows if known.get(row.id) != measured[row.id].digest]
    changes, new_events = list[tuple[str, str, Mapping[str, Any]]](), list[NewEvent]()
    for row in new:
        changed, of_one = _changed(connection, row, measured[row.id], known.get(row.id))
        changes.append((row.id, row.token, changed))
        new_events += of_one
    epochs.insert(connection, [_stored(measured[row.id]) for row in new])
    assert leases.record(connection, changes), "one of them was locked and yet changed"
    return new_events


def _stored(m: Measurement) -> dict[str, Any]:
    nonfinite = {name: str(value) for name, value in m.metrics.items() if not math.isfinite(value)}
    values = {"metrics": _finite(m), "nonfinite": nonfinite, "steps": m.steps, "seconds": m.seconds, "digest": m.digest}
    return {"run_id": m.run_id, "epoch": m.epoch, **values}


def _finite(m: Measurement) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in m.metrics.items()}


def _changed(
    connection: sa.Connection, row: Row, m: Measurement, known: str | None
) -> tuple[Mapping[str, Any], list[NewEvent]]:
    new_events: list[NewEvent] = []
    revision, best = row.revision, row.best
    if known is not None:
        forgotten = epochs.delete_from(connection, row.id, m.epoch)
        revision += 1
        best = _best(epochs.of_run(connection, row.id))
        new_events.append(NewEvent(row.id, "history_rewound", {"from_epoch": m.epoch, "epochs": forgotten}))
    else:
        assert m.epoch in (0, row.epoch + 1), f"epoch {m.epoch} of {row.id} follows {row.epoch}"
    finite = _finite(m)
    changed = {
        "epoch": m.epoch,
        "last": finite,
        "best": _better(best, m.epoch, finite),
        "digest": m.digest,
        "revision": revision,
        "barren": 0,
        "eta_seconds": _eta(row, m),
    }
    return changed, [*new_events, NewEvent(row.id, "epoch", epoch=m.epoch)]


def _eta(row: Row, m: Measurement) -> float | None:
    """Return the estimated seconds until the last epoch; None before the first.

    Single epochs take longer or shorter by chance, so the time of an epoch is the mean of the first ones and then an
    exponential moving average, which the last estimate and the epochs that it was for contain. A run that resumes
    begins again.
    """
    if m.epoch == 0:
        return None
    remaining = row.epochs - row.epoch
    if row.eta_seconds is None or remaining <= 0:
        return float(m.seconds * (row.epochs - m.epoch))
    average = row.eta_seconds / remaining
    average += max(ETA_WEIGHT, 1 / m.epoch) * (m.seconds - average)
    return float(average * (row.epochs - m.epoch))


def _better(
    best: Mapping[str, Any] | None, number: int, metrics: Mapping[str, float | None]
) -> Mapping[str, Any] | None:
    """Return the best epoch so far, including epoch ``number`` with ``metrics``."""
    metric = judged_by(metrics)
    value = metrics.get(metric)
    if value is None or number == 0 or (best is not None and best["value"] <= value):
        return best
    split = metric.partition(".")[0]
    chosen = {"epoch": number, "metric": metric, "value": value, "selected_on": split}
    return {**chosen, "optimistic": split == "test"}


def _best(rows: Sequence[Row]) -> Mapping[str, Any] | None:
    best: Mapping[str, Any] | None = None
    for e in rows:
        best = _better(best, e.epoch, e.metrics)
    return best
