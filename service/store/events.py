"""Statements on the event log. Ids are in commit order: a reader that has seen an id never misses a smaller one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from service.store.rows import Row
from service.store.tables import db_now, epoch, event, event_clock, run

# Statements of hot paths are built once.
_ADVANCE = sa.update(event_clock).values(last=event_clock.c.last + sa.bindparam("many")).returning(event_clock.c.last)
_INSERT = sa.insert(event).values(at=db_now())


@dataclass(frozen=True)
class NewEvent:
    """An event to append. ``epoch`` events take their data from the recorded epoch when they are read."""

    run_id: str
    type: str
    data: dict[str, Any] = field(default_factory=dict)
    epoch: int | None = None


def append(connection: sa.Connection, events: Sequence[NewEvent]) -> None:
    """Append events; call it last in a transaction.

    The counter's row stays locked until the commit, so that ids become visible in order on PostgreSQL, too.
    """
    if not events:
        return
    last = connection.execute(_ADVANCE, {"many": len(events)}).scalar_one()
    rows = [
        {"id": last - len(events) + i + 1, "run_id": e.run_id, "type": e.type, "data": e.data, "epoch": e.epoch}
        for i, e in enumerate(events)
    ]
    connection.execute(_INSERT, rows)


def last_id(connection: sa.Connection) -> int:
    """Return the newest event's id; 0 if the log is empty."""
    last: int = connection.execute(sa.select(event_clock.c.last)).scalar_one()
    return last


def after(
    connection: sa.Connection, run_id: str | None, last: int, limit: int, *, owner: str | None = None
) -> Sequence[Row]:
    """Return events with ids above ``last``, of one run, one owner or all, with their owners and recorded epochs."""
    trained = sa.func.coalesce(run.c.reused_from, run.c.id)
    columns = (run.c.owner, epoch.c.steps, epoch.c.metrics, epoch.c.nonfinite, epoch.c.seconds)
    joined = event.join(run, run.c.id == event.c.run_id).outerjoin(
        epoch, (epoch.c.run_id == trained) & (epoch.c.epoch == event.c.epoch)
    )
    statement = (
        sa.select(event, *columns).select_from(joined).where(event.c.id > last).order_by(event.c.id).limit(limit)
    )
    if run_id is not None:
        statement = statement.where(event.c.run_id == run_id)
    if owner is not None:
        statement = statement.where(run.c.owner == owner)
    return connection.execute(statement).all()


def of_types(connection: sa.Connection, types: Sequence[str], *, after: int, up_to: int, limit: int) -> Sequence[Row]:
    """Return events of ``types`` with ``after < id <= up_to``, with their run's owner, status, study and labels."""
    columns = [run.c[name] for name in ("owner", "status", "study_id", "labels")]
    statement = (
        sa.select(event.c.id, event.c.run_id, event.c.type, event.c.at, *columns)
        .select_from(event.join(run, run.c.id == event.c.run_id))
        .where(event.c.id > after, event.c.id <= up_to, event.c.type.in_(types))
    )
    return connection.execute(statement.order_by(event.c.id).limit(limit)).all()


def outdated(connection: sa.Connection, seconds: float, limit: int) -> Sequence[int]:
    """Return up to ``limit`` ids of events older than ``seconds``, of finished runs."""
    ended = sa.select(run.c.id).where(run.c.finished_at.is_not(None))
    old = (
        sa.select(event.c.id)
        .where(event.c.at < db_now() - seconds, event.c.run_id.in_(ended))
        .order_by(event.c.id)
        .limit(limit)
    )
    return connection.execute(old).scalars().all()


def delete(connection: sa.Connection, ids: Sequence[int]) -> None:
    """Delete events."""
    connection.execute(sa.delete(event).where(event.c.id.in_(ids)))
