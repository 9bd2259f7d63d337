"""Statements on runs, seen from their clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store.tables import db_now, run, worker

Row = sa.Row[Any]


def insert(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """Add a run; its times are the database's."""
    connection.execute(sa.insert(run).values(**{"created_at": db_now(), "last": {}, **values}))


def by_id(connection: sa.Connection, run_id: str, *, lock: bool = False) -> Row | None:
    """One run; with ``lock`` nobody else changes it until the transaction is over."""
    statement = sa.select(run).where(run.c.id == run_id)
    return connection.execute(statement.with_for_update() if lock else statement).first()


def version(connection: sa.Connection, run_id: str) -> int | None:
    """The counter of a run's visible changes."""
    return connection.scalar(sa.select(run.c.version).where(run.c.id == run_id))


def finished_equal(connection: sa.Connection, reuse_key: str) -> Row | None:
    """The oldest run that was trained to its end with the same result to be expected; a diverged one counts."""
    finished = (run.c.status == "succeeded") | ((run.c.status == "failed") & (run.c.error_code == "diverged"))
    statement = sa.select(run).where(run.c.reuse_key == reuse_key, run.c.reused_from.is_(None), finished)
    return connection.execute(statement.order_by(run.c.created_at, run.c.id).limit(1)).first()


def page(
    connection: sa.Connection,
    *,
    statuses: Sequence[str],
    labels: Mapping[str, str],
    study_id: str | None,
    name: str | None,
    before: tuple[float, str] | None,
    limit: int,
) -> Sequence[Row]:
    """Runs that match, newest first, from ``before`` (created_at, id) on."""
    statement = sa.select(run).order_by(run.c.created_at.desc(), run.c.id.desc()).limit(limit)
    if statuses:
        statement = statement.where(run.c.status.in_(statuses))
    for key, value in labels.items():
        statement = statement.where(run.c.labels[key].as_string() == value)
    if study_id is not None:
        statement = statement.where(run.c.study_id == study_id)
    if name is not None:
        statement = statement.where(run.c.name == name)
    if before is not None:
        statement = statement.where(sa.tuple_(run.c.created_at, run.c.id) < sa.tuple_(*before))
    return connection.execute(statement).all()


def change(connection: sa.Connection, run_id: str, status: str, values: Mapping[str, Any]) -> bool:
    """Change a run that is still in ``status``; False when it no longer is."""
    statement = sa.update(run).where(run.c.id == run_id, run.c.status == status)
    return connection.execute(statement.values(version=run.c.version + 1, **values)).rowcount == 1


def live_workers(connection: sa.Connection, seconds: float) -> Sequence[Row]:
    """The workers that gave a sign of life in the last ``seconds``."""
    alive = worker.c.seen_at > db_now() - seconds
    return connection.execute(sa.select(worker).where(alive).order_by(worker.c.started_at)).all()
