"""Statements on runs, as clients submit, read and change them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store.rows import Row
from service.store.statuses import HELD, SEALED, UNFINISHED
from service.store.tables import checkpoint, db_now, epoch, note, report, run, series, study, teacher, weights, worker

MISSING_KEY = 1.7e308
"""Sort key of runs without a value to sort by."""
KEYS_PER_STATEMENT = 500
"""Most values of an IN list."""
# Statements of hot paths are built once, because building one costs as much as executing it.
_INSERT = {
    finished: sa.insert(run).values(
        {name: db_now() for name in ("created_at", *(("started_at", "finished_at") if finished else ()))}
    )
    for finished in (False, True)
}
_BY_ID = sa.select(run).where(run.c.id == sa.bindparam("run_id"))
_BY_ID_LOCKED = _BY_ID.with_for_update()
_VERSION: sa.Select[Any] = sa.select(run.c.version, run.c.owner).where(run.c.id == sa.bindparam("run_id"))
_LIVE_WORKERS = (
    sa.select(worker)
    .where(worker.c.seen_at > db_now() - sa.bindparam("seconds", type_=sa.Double()))
    .order_by(worker.c.started_at)
)


def insert(connection: sa.Connection, values: Sequence[Mapping[str, Any]], *, finished: bool = False) -> None:
    """Insert runs with the same columns; their times are the database's."""
    if values:
        connection.execute(_INSERT[finished], [dict(row) for row in values])


def by_id(connection: sa.Connection, run_id: str, *, lock: bool = False) -> Row | None:
    """Return a run, or None; with ``lock``, keep others from changing it until the transaction ends."""
    return connection.execute(_BY_ID_LOCKED if lock else _BY_ID, {"run_id": run_id}).first()


def is_sealed(connection: sa.Connection, run_id: str) -> bool:
    """Return whether the run's model is of the search of a tuned study whose choice is not confirmed yet.

    A study that stopped before its choice was frozen stays sealed, because its runs can be used by another search. Runs
    that reuse or verify a run of the search have the same model.
    """
    trial = run.alias("trial")
    same = sa.or_(trial.c.id == run.c.id, trial.c.id == run.c.reused_from, trial.c.id == run.c.verifies)
    undecided = (study.c.tuning_phase == "stopped") & study.c.tuning["frozen_at"].as_string().is_(None)
    phase = study.c.tuning_phase.in_(SEALED) | undecided
    sealed = sa.exists().where(same, study.c.id == trial.c.study_id, phase)
    return connection.execute(sa.select(run.c.id).where(run.c.id == run_id, sealed)).first() is not None


def version(connection: sa.Connection, run_id: str) -> Row | None:
    """Return the run's version, which counts its visible changes, and its owner."""
    return connection.execute(_VERSION, {"run_id": run_id}).first()


def finished_equals(
    connection: sa.Connection, reuse_keys: Sequence[str], *, owner: str | None = None
) -> dict[str, Row]:
    """Return the oldest finished run (of ``owner``) for each reuse key; a diverged run counts as finished."""
    if not reuse_keys:
        return {}
    finished = (run.c.status == "succeeded") | ((run.c.status == "failed") & (run.c.error_code == "diverged"))
    oldest: dict[str, Row] = {}
    for keys in (reuse_keys[i : i + KEYS_PER_STATEMENT] for i in range(0, len(reuse_keys), KEYS_PER_STATEMENT)):
        statement = sa.select(run).where(run.c.reuse_key.in_(keys), run.c.reused_from.is_(None), finished)
        statement = statement.where(*owned_by(owner))
        for row in connection.execute(statement.order_by(run.c.created_at, run.c.id)):
            oldest.setdefault(row.reuse_key, row)
    return oldest


def newest_verification(connection: sa.Connection, run_id: str) -> Row | None:
    """Return the newest run that verifies ``run_id``, or None."""
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
    folds_studies: bool = False,
) -> Sequence[Row]:
    """Return matching runs after the position ``after``, ordered by ``sort`` (returned as ``sort_key``), then id.

    Runs without a value to sort by come last in both directions. With ``folds_studies``, only the first matching run of
    each study is returned.
    """
    last = -MISSING_KEY if descending else MISSING_KEY
    key: sa.ColumnElement[Any] = sort if sort is run.c.created_at else sa.func.coalesce(sort, last)
    statement = sa.select(run)
    if folds_studies:
        unit = sa.func.coalesce(run.c.study_id, run.c.id)
        place = sa.func.row_number().over(partition_by=unit, order_by=_order(key, descending))
        first = sa.select(run.c.id, key.label("key"), place.label("place")).where(*conditions).subquery()
        statement, key = statement.join(first, first.c.id == run.c.id).where(first.c.place == 1), first.c.key
    else:
        statement = statement.where(*conditions)
    if after is not None:
        position, start = sa.tuple_(key, run.c.id), sa.tuple_(*after)
        statement = statement.where(position < start if descending else position > start)
    ordered = statement.add_columns(key.label("sort_key")).order_by(*_order(key, descending))
    return connection.execute(ordered.limit(limit)).all()


def _order(key: sa.ColumnElement[Any], descending: bool) -> Sequence[sa.ColumnElement[Any]]:
    """Return the order by ``key``, then id."""
    return (key.desc(), run.c.id.desc()) if descending else (key.asc(), run.c.id.asc())


def unfinished(connection: sa.Connection, limit: int, *, owner: str | None) -> tuple[Sequence[Row], int]:
    """Return unfinished runs (of ``owner``), up to ``limit``, and how many there are.

    Running ones come first, then queued ones in the order in which workers claim them, then waiting and paused ones.
    """
    visible = (run.c.status.in_(UNFINISHED), *owned_by(owner))
    order = sa.case((run.c.status.in_(HELD), 0), (run.c.status == "queued", 1), (run.c.status == "waiting", 2), else_=3)
    statement = sa.select(run).where(*visible)
    rows = connection.execute(statement.order_by(order, run.c.priority.desc(), run.c.created_at, run.c.id).limit(limit))
    count = connection.execute(sa.select(sa.func.count()).select_from(run).where(*visible)).scalar_one()
    return rows.all(), count


def conditions(
    *, statuses: Sequence[str], labels: Mapping[str, str], study_id: str | None, name: str | None
) -> list[sa.ColumnElement[bool]]:
    """Return the SQL conditions of the query parameters."""
    criteria: list[sa.ColumnElement[bool]] = [run.c.status.in_(statuses)] if statuses else []
    criteria += [run.c.labels[key].as_string() == value for key, value in labels.items()]
    criteria += [] if study_id is None else [run.c.study_id == study_id]
    criteria += [] if name is None else [run.c.name == name]
    return criteria


def lock_matching(
    connection: sa.Connection, criteria: Sequence[sa.ColumnElement[bool]], statuses: Sequence[str]
) -> Sequence[Row]:
    """Lock and return all matching runs in these statuses, ordered by id to avoid deadlocks."""
    statement = sa.select(run).where(run.c.status.in_(statuses), *criteria)
    return connection.execute(statement.order_by(run.c.id).with_for_update()).all()


def owned_by(owner: str | None) -> list[sa.ColumnElement[bool]]:
    """Return the condition that a run belongs to ``owner``; empty for None, which is every owner."""
    return [] if owner is None else [run.c.owner == owner]


def lock_owner(connection: sa.Connection, owner: str) -> None:
    """Serialize transactions that count and add runs of ``owner``; SQLite serializes all writers anyway."""
    if connection.dialect.name == "postgresql":
        name = sa.func.hashtextextended(f"runs of {owner}", 0)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(name)))


def count_unfinished(connection: sa.Connection, owner: str) -> int:
    """Return the number of the owner's unfinished runs."""
    unfinished = (run.c.owner == owner, run.c.finished_at.is_(None))
    return connection.execute(sa.select(sa.func.count()).select_from(run).where(*unfinished)).scalar_one()


def change(connection: sa.Connection, run_id: str, status: str, values: Mapping[str, Any]) -> bool:
    """Update a run if it is still in ``status``; return whether it was."""
    statement = sa.update(run).where(run.c.id == run_id, run.c.status == status)
    return connection.execute(statement.values(version=run.c.version + 1, **values)).rowcount == 1


def live_workers(connection: sa.Connection, seconds: float) -> Sequence[Row]:
    """Return the workers with a heartbeat in the last ``seconds``, oldest first."""
    return connection.execute(_LIVE_WORKERS, {"seconds": seconds}).all()


def delete(connection: sa.Connection, run_id: str) -> None:
    """Delete a run. If other runs reused its result, the oldest of them inherits it."""
    others = sa.select(run.c.id).where(run.c.reused_from == run_id).order_by(run.c.created_at, run.c.id)
    heirs = connection.execute(others).scalars().all()
    if heirs:
        connection.execute(sa.update(run).where(run.c.id == heirs[0]).values(reused_from=None))
        connection.execute(sa.update(run).where(run.c.reused_from == run_id).values(reused_from=heirs[0]))
        for table in (epoch, series, report, checkpoint, weights, teacher, note):
            connection.execute(sa.update(table).where(table.c.run_id == run_id).values(run_id=heirs[0]))
    connection.execute(sa.delete(run).where(run.c.id == run_id))
