"""Prefixes: runs of fewer epochs, which a new run continues instead of training their epochs again."""

from __future__ import annotations

import sqlalchemy as sa

from service.runs.queries import epochs, files
from service.runs.queries import runs as rows
from service.store.events import NewEvent
from service.store.rows import Row


def copy_progress(connection: sa.Connection, row: Row, run_id: str) -> list[NewEvent]:
    """Copy epochs and checkpoints of the run in ``row`` to the queued run ``run_id``, and return its epoch events."""
    trained = row.reused_from or row.id
    epochs.copy(connection, trained, run_id)
    files.share_progress(connection, trained, run_id)
    names = ("epoch", "best", "baseline", "digest", "determinism_class", "revision")
    values = {name: getattr(row, name) for name in names}
    changed = rows.change(connection, run_id, "queued", {**values, "last": row.last, "extends": row.id})
    assert changed, f"{run_id} was just created and yet changed"
    return [NewEvent(run_id, "epoch", epoch=e.epoch) for e in epochs.of_run(connection, run_id)]
