"""What an epoch changes of a run: its history, its last and best values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store import epochs
from service.store.events import NewEvent
from service.store.runs import Row
from worker.ports import Measurement
from worker.spec.best import judged_by


def recorded(connection: sa.Connection, row: Row, m: Measurement) -> tuple[Mapping[str, Any], list[NewEvent]]:
    """Record an epoch of the run in ``row``, which is locked; what changes of it, and what is to be told.

    The same epoch once more changes nothing; other values for a recorded one replace it and all that follow it.
    """
    told: list[NewEvent] = []
    known = epochs.digest(connection, row.id, m.epoch)
    if known == m.digest:
        return {}, told
    revision, best = row.revision, row.best
    if known is not None:
        forgotten = epochs.delete_from(connection, row.id, m.epoch)
        revision += 1
        best = _best(epochs.of_run(connection, row.id))
        told.append(NewEvent(row.id, "history_rewound", {"from_epoch": m.epoch, "epochs": forgotten}))
    else:
        assert m.epoch in (0, row.epoch + 1), f"epoch {m.epoch} of {row.id} follows {row.epoch}"
    finite = {name: value if math.isfinite(value) else None for name, value in m.metrics.items()}
    nonfinite = {name: str(value) for name, value in m.metrics.items() if not math.isfinite(value)}
    values = {"metrics": finite, "nonfinite": nonfinite, "steps": m.steps, "seconds": m.seconds, "digest": m.digest}
    epochs.insert(connection, {"run_id": row.id, "epoch": m.epoch, **values})
    changed = {
        "epoch": m.epoch,
        "last": finite,
        "best": _better(best, m.epoch, finite),
        "digest": m.digest,
        "revision": revision,
        "barren": 0,
        "eta_seconds": m.seconds * (row.epochs - m.epoch),
    }
    return changed, [*told, NewEvent(row.id, "epoch", epoch=m.epoch)]


def _better(
    best: Mapping[str, Any] | None, number: int, metrics: Mapping[str, float | None]
) -> Mapping[str, Any] | None:
    """The best epoch so far, now that epoch ``number`` gave ``metrics``."""
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
