"""Statements that count runs and events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store.rows import Row
from service.store.statuses import UNFINISHED
from service.store.tables import db_now, event, run


def unfinished(connection: sa.Connection) -> Mapping[str, int]:
    """Return the number of runs in each status that is not final."""
    statement = (
        sa.select(run.c.status, sa.func.count().label("runs"))
        .where(run.c.status.in_(UNFINISHED), run.c.finished_at.is_(None))  # the second condition has a partial index
        .group_by(run.c.status)
    )
    counts = {row.status: row.runs for row in connection.execute(statement)}
    return {status: counts.get(status, 0) for status in UNFINISHED}


def oldest_queued(connection: sa.Connection) -> float:
    """Return the age of the oldest queued run in seconds; 0 if the queue is empty."""
    age = db_now() - sa.func.min(run.c.created_at)
    return float(connection.scalar(sa.select(age).where(run.c.status == "queued")) or 0.0)


def events_by_type(connection: sa.Connection, after: int, up_to: int) -> Mapping[str, int]:
    """Return the number of events of each type with ``after < id <= up_to``."""
    counts = sa.select(event.c.type, sa.func.count().label("events")).group_by(event.c.type)
    rows = connection.execute(counts.where(event.c.id > after, event.c.id <= up_to))
    return {row.type: row.events for row in rows}


def dispatches(connection: sa.Connection, after: int, up_to: int, limit: int) -> Sequence[Row]:
    """Return the newest starts and requeues with ``after < id <= up_to``, with the run's creation and start times."""
    types = ("run.started", "run.requeued")
    statement: sa.Select[Any] = (
        sa.select(event.c.type, event.c.data, run.c.created_at, run.c.started_at)
        .select_from(event.join(run, run.c.id == event.c.run_id))
        .where(event.c.id > after, event.c.id <= up_to, event.c.type.in_(types))
    )
    return connection.execute(statement.order_by(event.c.id.desc()).limit(limit)).all()
