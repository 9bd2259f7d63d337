"""Statements that count: what is there now, and what has happened since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store.rows import Row
from service.store.statuses import UNFINISHED
from service.store.tables import db_now, event, run


def unfinished(connection: sa.Connection) -> Mapping[str, int]:
    """How many runs have each status that is not an end."""
    statement = (
        sa.select(run.c.status, sa.func.count().label("runs"))
        .where(run.c.status.in_(UNFINISHED), run.c.finished_at.is_(None))  # the second has an index of its own
        .group_by(run.c.status)
    )
    counted = {row.status: row.runs for row in connection.execute(statement)}
    return {status: counted.get(status, 0) for status in UNFINISHED}


def oldest_queued(connection: sa.Connection) -> float:
    """For how many seconds the oldest queued run has been there; 0 where none is queued."""
    age = db_now() - sa.func.min(run.c.created_at)
    return float(connection.scalar(sa.select(age).where(run.c.status == "queued")) or 0.0)


def happened(connection: sa.Connection, after: int, up_to: int) -> Mapping[str, int]:
    """How many events of each type there are behind ``after`` up to ``up_to``."""
    counted = sa.select(event.c.type, sa.func.count().label("events")).group_by(event.c.type)
    rows = connection.execute(counted.where(event.c.id > after, event.c.id <= up_to))
    return {row.type: row.events for row in rows}


def handed_out(connection: sa.Connection, after: int, up_to: int, limit: int) -> Sequence[Row]:
    """The last starts and returns of runs among these events, with the times at which the runs came and began."""
    types = ("run.started", "run.requeued")
    statement: sa.Select[Any] = (
        sa.select(event.c.type, event.c.data, run.c.created_at, run.c.started_at)
        .select_from(event.join(run, run.c.id == event.c.run_id))
        .where(event.c.id > after, event.c.id <= up_to, event.c.type.in_(types))
    )
    return connection.execute(statement.order_by(event.c.id.desc()).limit(limit)).all()
