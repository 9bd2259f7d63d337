"""The continuation of an interrupted reproduction: runs that failed or were cancelled, studies that ended early."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from service.reproductions import queries
from service.runs.actions import act
from service.runs.errors import TransitionRefused
from service.runs.queries import runs as run_rows
from service.store.events import NewEvent
from service.store.rows import Row
from service.studies import queries as study_rows
from service.studies.looks import planned_runs
from service.studies.sequencer import CANCELLED
from worker.spec.run import RunSpec


def resumed(connection: sa.Connection, study_ids: Sequence[str]) -> list[NewEvent]:
    """Queue the interrupted runs of studies and of their confirmations again, and return the events."""
    ids = [*study_ids, *(one.id for one in study_rows.confirmations(connection, study_ids).values())]
    new_events = []
    for interrupted in queries.interrupted_runs(connection, ids):
        new_events += _retried(connection, interrupted)
    return new_events


def ended_early(connection: sa.Connection, study: Row) -> bool:
    """Return whether runs of a study were deleted, or it was cancelled before its last look or its confirmation."""
    return study.stop_reason == CANCELLED or len(study_rows.runs_of(connection, study.id)) < planned_runs(study)


def _retried(connection: sa.Connection, row: Row) -> list[NewEvent]:
    """Queue a run again, after those that it waits for and that did not succeed; return the events."""
    new_events, spec = [], RunSpec.of(row.spec)
    awaited = [teacher.run_id for teacher in spec.teachers]
    if spec.warm_start is not None and spec.warm_start.pending:
        awaited.append(spec.warm_start.run_id)
    for run_id in awaited:
        source = None if run_id is None else run_rows.by_id(connection, run_id, lock=True)
        if source is not None and source.status in ("failed", "cancelled") and source.error_code != "diverged":
            new_events += _retried(connection, source)
    current = run_rows.by_id(connection, row.id, lock=True)
    assert current is not None, f"{row.id} was locked and yet deleted"
    try:
        return new_events + act(connection, current, "retry")
    except TransitionRefused:  # a run that it waits for was deleted or diverged: it stays as it is
        return new_events
