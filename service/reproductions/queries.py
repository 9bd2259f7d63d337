"""SQL statements on reproductions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store.rows import Row
from service.store.tables import db_now, reproduction, run


def newest(connection: sa.Connection, name: str, scale: str, definition: str, *, owner: str | None) -> Row | None:
    """Return the newest start of a reproduction (by ``owner``) with exactly this definition."""
    statement = sa.select(reproduction).where(
        reproduction.c.name == name, reproduction.c.scale == scale, reproduction.c.definition == definition
    )
    if owner is not None:
        statement = statement.where(reproduction.c.owner == owner)
    return connection.execute(statement.order_by(reproduction.c.created_at.desc(), reproduction.c.owner)).first()


def insert(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """Insert the start of a reproduction, at the database's time."""
    connection.execute(sa.insert(reproduction).values(created_at=db_now(), **values))


def change(connection: sa.Connection, row: Row, values: Mapping[str, Any]) -> None:
    """Update the start of a reproduction."""
    own = [reproduction.c[name] == getattr(row, name) for name in ("owner", "name", "scale", "definition")]
    connection.execute(sa.update(reproduction).where(*own).values(**values))


def interrupted_runs(connection: sa.Connection, study_ids: Sequence[str]) -> Sequence[Row]:
    """Lock and return the runs of studies that failed or were cancelled; a diverged run is a result and stays."""
    failed = (run.c.status == "failed") & (sa.func.coalesce(run.c.error_code, "") != "diverged")
    statement = sa.select(run).where(run.c.study_id.in_(study_ids), failed | (run.c.status == "cancelled"))
    return connection.execute(statement.order_by(run.c.id).with_for_update()).all()


def machines(connection: sa.Connection, study_ids: Sequence[str]) -> Sequence[Row]:
    """Return determinism_class, runs, reused, seconds and finished_at of each class that trained runs of studies."""
    columns = (
        run.c.determinism_class,
        sa.func.count().label("runs"),
        sa.func.count(run.c.reused_from).label("reused"),
        sa.func.sum(run.c.spent_seconds / run.c.stack_size).label("seconds"),
        sa.func.max(run.c.finished_at).label("finished_at"),
    )
    trained = (run.c.study_id.in_(study_ids), run.c.determinism_class.is_not(None))
    statement = sa.select(*columns).where(*trained).group_by(run.c.determinism_class)
    return connection.execute(statement.order_by(run.c.determinism_class)).all()
