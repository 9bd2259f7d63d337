"""Statements on runs, seen from their clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store.rows import Row
from service.store.tables import checkpoint, db_now, epoch, note, report, run, series, teacher, weights, worker

LAST = 1.7e308
"""What runs are sorted by that have nothing to be sorted by."""
KEYS_AT_ONCE = 500
"""Values in a list that SQL compares with."""
# Statements of every request are built once: building one costs as much as running it.
_INSERT = {
    finished: sa.insert(run).values(
        {name: db_now() for name in ("created_at", *(("started_at", "finished_at") if finished else ()))}
    )
    for finished in (False, True)
}
_BY_ID = sa.select(run).where(run.c.id == sa.bindparam("run_id"))
_BY_ID_LOCKED = _BY_ID.with_for_update()
_VERSION: sa.Select[Any] = sa.select(run.c.version, run.c.owner).where(run.c.id == sa.bindparam("run_id"))
_LIVE = (
    sa.select(worker)
    .where(worker.c.seen_at > db_now() - sa.bindparam("seconds", type_=sa.Double()))
    .order_by(worker.c.started_at)
)


def insert(connection: sa.Connection, values: Sequence[Mapping[str, Any]], *, finished: bool = False) -> None:
    """Add runs with the same columns; their times are the database's."""
    if values:
        connection.execute(_INSERT[finished], [dict(one) for one in values])


def by_id(connection: sa.Connection, run_id: str, *, lock: bool = False) -> Row | None:
    """One run; with ``lock`` nobody else changes it until the transaction is over."""
    return connection.execute(_BY_ID_LOCKED if lock else _BY_ID, {"run_id": run_id}).first()


def version(connection: sa.Connection, run_id: str) -> Row | None:
    """The counter of a run's visible changes, and its owner."""
    return connection.execute(_VERSION, {"run_id": run_id}).first()


def finished_equals(
    connection: sa.Connection, reuse_keys: Sequence[str], *, owner: str | None = None
) -> dict[str, Row]:
    """By reuse key, the oldest run (of ``owner``) that was trained to its end; a diverged one counts."""
    if not reuse_keys:
        return {}
    finished = (run.c.status == "succeeded") | ((run.c.status == "failed") & (run.c.error_code == "diverged"))
    found: dict[str, Row] = {}
    for keys in (reuse_keys[i : i + KEYS_AT_ONCE] for i in range(0, len(reuse_keys), KEYS_AT_ONCE)):
        statement = sa.select(run).where(run.c.reuse_key.in_(keys), run.c.reused_from.is_(None), finished)
        statement = statement.where(*owned_by(owner))
        for row in connection.execute(statement.order_by(run.c.created_at, run.c.id)):
            found.setdefault(row.reuse_key, row)
    return found


def newest_verifying(connection: sa.Connection, run_id: str) -> Row | None:
    """The newest run that trains ``run_id`` once more."""
    statement = sa.select(run).where(run.c.verifies == run_id)
    return connection.execute(statement.order_by(run.c.created_at.desc(), run.c.id.desc()).limit(1)).first()


def page(
    connection: sa.Connection,
    *,
    conditions: Sequence[sa.ColumnElement[bool]],
    sort: sa.ColumnElement[float],
    descending: bool,
    after: tuple[float, str] | None,
    limit: int,
) -> Sequence[Row]:
    """Runs that match, in the order of ``sort`` (as their ``sort_key``) and id, from behind ``after`` on.

    Runs that have nothing to sort by come last, whichever the direction.
    """
    last = -LAST if descending else LAST
    key = sort if sort is run.c.created_at else sa.func.coalesce(sort, last)
    order = (key.desc(), run.c.id.desc()) if descending else (key.asc(), run.c.id.asc())
    statement = sa.select(run, key.label("sort_key")).where(*conditions).order_by(*order).limit(limit)
    if after is not None:
        place, there = sa.tuple_(key, run.c.id), sa.tuple_(*after)
        statement = statement.where(place < there if descending else place > there)
    return connection.execute(statement).all()


def matching(
    *, statuses: Sequence[str], labels: Mapping[str, str], study_id: str | None, name: str | None
) -> list[sa.ColumnElement[bool]]:
    """The conditions of the simple questions."""
    conditions: list[sa.ColumnElement[bool]] = [run.c.status.in_(statuses)] if statuses else []
    conditions += [run.c.labels[key].as_string() == value for key, value in labels.items()]
    conditions += [] if study_id is None else [run.c.study_id == study_id]
    conditions += [] if name is None else [run.c.name == name]
    return conditions


def locked(
    connection: sa.Connection, conditions: Sequence[sa.ColumnElement[bool]], statuses: Sequence[str]
) -> Sequence[Row]:
    """All runs that match in these statuses, in the order of their ids; nobody else changes them meanwhile."""
    statement = sa.select(run).where(run.c.status.in_(statuses), *conditions)
    return connection.execute(statement.order_by(run.c.id).with_for_update()).all()


def owned_by(owner: str | None) -> list[sa.ColumnElement[bool]]:
    """The condition that runs are this owner's; none where it is None."""
    return [] if owner is None else [run.c.owner == owner]


def lock_owner(connection: sa.Connection, owner: str) -> None:
    """Let one transaction at a time count an owner's runs and add to them; on SQLite every writer waits anyway."""
    if connection.dialect.name == "postgresql":
        name = sa.func.hashtextextended(f"runs of {owner}", 0)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(name)))


def count_unfinished(connection: sa.Connection, owner: str) -> int:
    """How many runs of an owner have not ended."""
    unfinished = (run.c.owner == owner, run.c.finished_at.is_(None))
    return connection.execute(sa.select(sa.func.count()).select_from(run).where(*unfinished)).scalar_one()


def change(connection: sa.Connection, run_id: str, status: str, values: Mapping[str, Any]) -> bool:
    """Change a run that is still in ``status``; False when it no longer is."""
    statement = sa.update(run).where(run.c.id == run_id, run.c.status == status)
    return connection.execute(statement.values(version=run.c.version + 1, **values)).rowcount == 1


def live_workers(connection: sa.Connection, seconds: float) -> Sequence[Row]:
    """The workers that gave a sign of life in the last ``seconds``."""
    return connection.execute(_LIVE, {"seconds": seconds}).all()


def delete(connection: sa.Connection, run_id: str) -> None:
    """Remove a run. Where others took over its result, the oldest of them has it from now on."""
    others = sa.select(run.c.id).where(run.c.reused_from == run_id).order_by(run.c.created_at, run.c.id)
    heirs = connection.execute(others).scalars().all()
    if heirs:
        connection.execute(sa.update(run).where(run.c.id == heirs[0]).values(reused_from=None))
        connection.execute(sa.update(run).where(run.c.reused_from == run_id).values(reused_from=heirs[0]))
        for table in (epoch, series, report, checkpoint, weights, teacher, note):
            connection.execute(sa.update(table).where(table.c.run_id == run_id).values(run_id=heirs[0]))
    connection.execute(sa.delete(run).where(run.c.id == run_id))
