"""Statements on run logs, which workers write."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from service.store.rows import Row
from service.store.tables import db_now, note


def insert(connection: sa.Connection, rows: Sequence[Row], level: str, text: str) -> None:
    """Append a line to the log of every run in ``rows``."""
    values = [{"run_id": row.id, "attempt": row.attempt, "level": level, "text": text} for row in rows]
    if values:
        connection.execute(sa.insert(note).values(at=db_now()), values)


def of_run(connection: sa.Connection, run_id: str, *, after: int, limit: int) -> Sequence[Row]:
    """Return up to ``limit`` log lines with an id above ``after``, oldest first."""
    statement = sa.select(note).where(note.c.run_id == run_id, note.c.id > after).order_by(note.c.id).limit(limit)
    return connection.execute(statement).all()
