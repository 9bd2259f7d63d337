"""Actions of clients on existing runs: cancel, pause, resume, retry, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from service.runs import states, students
from service.runs.errors import TransitionRefused
from service.runs.queries import files
from service.runs.queries import runs as rows
from service.runs.submission import teachers, warm_starts
from service.store.events import NewEvent
from service.store.rows import Row
from service.store.tables import db_now
from worker.spec.run import RunSpec

NO_OP: dict[states.Action, tuple[states.Status, ...]] = {
    "cancel": ("cancelling", "cancelled"),
    "pause": ("pausing", "paused"),
    "resume": ("queued", "running"),
    "retry": (),
}
"""Statuses in which an action changes nothing."""


def delete_runs(connection: sa.Connection, run_ids: Sequence[str]) -> list[str]:
    """Delete finished runs; return the paths of the files that no run references any more."""
    paths = [path for run_id in run_ids for path in files.paths_of(connection, run_id)]
    for run_id in run_ids:
        rows.delete(connection, run_id)
    return files.unreferenced(connection, paths)


def act(connection: sa.Connection, row: Row, action: states.Action) -> list[NewEvent]:
    """Apply ``action`` to the locked run in ``row`` and return the new events; empty if nothing changes.

    Raises:
        TransitionRefused: The run's state does not allow the action.
    """
    if row.status in NO_OP[action]:
        return []
    if action == "retry" and row.status in ("failed", "cancelled"):
        spec = RunSpec.of(row.spec)
        if teachers.has_pending(spec) or warm_starts.is_pending(spec):
            return students.retry(connection, row)
    status = states.after(row.status, action)
    if status is None:
        allowed = states.allowed(row.status)
        hint = f"Allowed: {', '.join(allowed)}." if allowed else "No action is allowed."
        raise TransitionRefused(f"Cannot {action} a run that is {row.status!r}. {hint}")
    values: dict[str, Any] = {"status": status}
    if status in states.TERMINAL:
        values["finished_at"] = db_now()
    if action == "retry":  # the run continues from its last checkpoint
        values |= {"finished_at": None, "error_code": None, "error_message": None, "barren": 0}
    changed = rows.change(connection, row.id, row.status, values)
    assert changed, f"{row.id} was locked and yet changed"
    events = [NewEvent(row.id, f"run.{status}", {"action": action} if action in ("resume", "retry") else {})]
    return events + students.after_teacher(connection, row.id, status) if status in states.TERMINAL else events
