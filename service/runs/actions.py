"""What clients may ask of a run that is there: cancel, pause, resume, retry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from service.runs import states
from service.runs.errors import TransitionRefused
from service.runs.queries import files
from service.runs.queries import runs as rows
from service.runs.submission import teachers
from service.store.events import NewEvent
from service.store.rows import Row
from service.store.tables import db_now
from worker.spec.run import RunSpec

ALREADY: dict[states.Action, tuple[states.Status, ...]] = {
    "cancel": ("cancelling", "cancelled"),
    "pause": ("pausing", "paused"),
    "resume": ("queued", "running"),
    "retry": (),
}
"""Where an action has nothing to do."""


def forget(connection: sa.Connection, run_ids: Sequence[str]) -> list[str]:
    """Remove runs that have ended; the paths of files that nothing points at any more."""
    paths = [path for run_id in run_ids for path in files.paths_of(connection, run_id)]
    for run_id in run_ids:
        rows.delete(connection, run_id)
    return files.unused(connection, paths)


def act(connection: sa.Connection, row: Row, action: states.Action) -> list[NewEvent]:
    """Do ``action`` on the run in ``row``, which is locked; what is to be told of it, nothing where it was so already.

    Raises:
        TransitionRefused: the run's state does not allow it.
    """
    if row.status in ALREADY[action]:
        return []
    if action == "retry" and row.status in ("failed", "cancelled") and teachers.waits(RunSpec.of(row.spec)):
        return teachers.retried(connection, row)
    status = states.after(row.status, action)
    if status is None:
        allowed = states.allowed(row.status)
        can = f"It can: {', '.join(allowed)}." if allowed else "Nothing more can be asked of it."
        raise TransitionRefused(f"A run that is {row.status!r} cannot {action}. {can}")
    values: dict[str, Any] = {"status": status}
    if status in states.TERMINAL:
        values["finished_at"] = db_now()
    if action == "retry":  # it goes on from its last checkpoint
        values |= {"finished_at": None, "error_code": None, "error_message": None, "barren": 0}
    changed = rows.change(connection, row.id, row.status, values)
    assert changed, f"{row.id} was locked and yet changed"
    told = [NewEvent(row.id, f"run.{status}", {"action": action} if action in ("resume", "retry") else {})]
    return told + teachers.ended(connection, row.id, status) if status in states.TERMINAL else told
