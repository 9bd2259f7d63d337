"""Statements on recorded epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store.rows import Row
from service.store.tables import db_now, epoch

# Statements of hot paths are built once.
_DIGESTS = sa.select(epoch.c.run_id, epoch.c.digest).where(
    epoch.c.run_id.in_(sa.bindparam("run_ids", expanding=True)), epoch.c.epoch == sa.bindparam("number")
)
_INSERT = sa.insert(epoch).values(recorded_at=db_now())


def of_run(connection: sa.Connection, run_id: str, *, after: int | None = None) -> Sequence[Row]:
    """Return a run's epochs in order; with ``after``, only later ones."""
    statement = sa.select(epoch).where(epoch.c.run_id == run_id).order_by(epoch.c.epoch)
    return connection.execute(statement if after is None else statement.where(epoch.c.epoch > after)).all()


def metrics_of(connection: sa.Connection, run_id: str, number: int) -> Mapping[str, float | None]:
    """Return the metrics of epoch ``number``; empty if it is not recorded."""
    statement = sa.select(epoch.c.metrics).where(epoch.c.run_id == run_id, epoch.c.epoch == number)
    return connection.scalar(statement) or {}


def digests(connection: sa.Connection, run_ids: Sequence[str], number: int) -> dict[str, str]:
    """Return the digest of epoch ``number`` for each run that has recorded it."""
    rows = connection.execute(_DIGESTS, {"run_ids": run_ids, "number": number})
    return {row.run_id: row.digest for row in rows}


def insert(connection: sa.Connection, values: Sequence[Mapping[str, Any]]) -> None:
    """Insert epochs."""
    if values:
        connection.execute(_INSERT, [dict(row) for row in values])


def delete_from(connection: sa.Connection, run_id: str, number: int) -> int:
    """Delete the epochs from ``number`` on and return their count."""
    return connection.execute(sa.delete(epoch).where(epoch.c.run_id == run_id, epoch.c.epoch >= number)).rowcount


def copy(connection: sa.Connection, run_id: str, to: str) -> None:
    """Copy all epochs of ``run_id`` to the run ``to``."""
    columns = [column for column in epoch.c if column is not epoch.c.run_id]
    source = sa.select(sa.literal(to), *columns).where(epoch.c.run_id == run_id)
    connection.execute(sa.insert(epoch).from_select(["run_id", *(column.name for column in columns)], source))


def first_difference(connection: sa.Connection, run_id: str, other: str) -> int | None:
    """Return the first epoch whose digest differs or that only one run has; None if the runs are identical."""
    one, two = (sa.select(epoch.c.epoch, epoch.c.digest).where(epoch.c.run_id == i).subquery() for i in (run_id, other))
    joined = one.join(two, one.c.epoch == two.c.epoch, full=True)
    number = sa.func.coalesce(one.c.epoch, two.c.epoch)
    differs = one.c.digest.is_distinct_from(two.c.digest)
    return connection.scalar(sa.select(sa.func.min(number)).select_from(joined).where(differs))
