"""Statements on leases and workers. Every write to a held run carries the lease's token."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store.rows import Row
from service.store.tables import db_now, run, worker
from worker.ports import Claim, WorkerInfo

# A run that was held when its database was upgraded from the first release has no time of its claim.
_SPENT = run.c.spent_seconds + sa.func.coalesce(db_now() - run.c.claimed_at, 0.0)
RELEASED: dict[str, Any] = {
    "token": None,
    "lease_expires_at": None,
    "claimed_at": None,
    "eta_seconds": None,
    "spent_seconds": _SPENT,
}
"""Columns to reset when a lease ends."""
RECORDED = ("epoch", "last", "best", "digest", "revision", "barren", "eta_seconds")
"""Columns that recording an epoch changes."""
_RECORD = (
    sa.update(run)
    .where(run.c.id == sa.bindparam("held"), run.c.token == sa.bindparam("by"))
    .values(version=run.c.version + 1, **{name: sa.bindparam(f"new_{name}") for name in RECORDED})
)


def next_queued(connection: sa.Connection, devices: Sequence[str]) -> Row | None:
    """Lock and return the first queued run, by priority and age, that one of ``devices`` can train; None if none."""
    statement = (
        sa.select(run)
        .where(run.c.status == "queued", run.c.device.in_(("auto", *devices)))
        .order_by(run.c.priority.desc(), run.c.created_at, run.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(statement).first()


def _alike(first: Row) -> sa.ColumnElement[bool]:
    """Return the condition that a queued run can share a stack with ``first`` from its next epoch on."""
    return sa.and_(
        run.c.status == "queued",
        run.c.stack_key == first.stack_key,
        run.c.epoch == first.epoch,
        run.c.barren == 0,
    )


def count_alike(connection: sa.Connection, first: Row, most: int) -> int:
    """Return how many queued runs can share a stack with ``first``, itself included, counting up to ``most``."""
    alike = sa.select(sa.literal(1)).select_from(run).where(_alike(first)).limit(most).subquery()
    return connection.execute(sa.select(sa.func.count()).select_from(alike)).scalar_one()


def stack_peers(connection: sa.Connection, first: Row, limit: int) -> Sequence[Row]:
    """Lock and return up to ``limit`` queued runs that can share a stack with ``first`` from its next epoch on."""
    statement = (
        sa.select(run)
        .where(_alike(first), run.c.id != first.id)
        .order_by(run.c.priority.desc(), run.c.created_at, run.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(statement).all()


def take(connection: sa.Connection, row: Row, worker_id: str, lease_seconds: float) -> str:
    """Lease a queued run to a worker and return the token.

    The attempt counts as failed until it records an epoch.
    """
    token = secrets.token_hex(16)
    claimed = connection.execute(
        sa.update(run)
        .where(run.c.id == row.id, run.c.status == "queued")
        .values(
            status="running",
            token=token,
            lease_expires_at=db_now() + lease_seconds,
            claimed_at=db_now(),
            worker_id=worker_id,
            attempt=run.c.attempt + 1,
            barren=run.c.barren + 1,
            resumes=run.c.resumes + sa.case((run.c.epoch > 0, 1), else_=0),
            version=run.c.version + 1,
        )
    )
    assert claimed.rowcount == 1, f"{row.id} was locked and yet changed"
    return token


def held(connection: sa.Connection, claims: Sequence[Claim]) -> dict[str, Row]:
    """Lock and return the claimed runs whose token is still current, keyed and ordered by id."""
    # By their ids as well: ordered by id alone, SQLite would read every run that is stored, in every epoch.
    theirs = run.c.id.in_([claim.run_id for claim in claims])
    statement = sa.select(run).where(theirs, run.c.token.in_([claim.token for claim in claims]))
    rows = connection.execute(statement.order_by(run.c.id).with_for_update())
    return {row.id: row for row in rows}


def change(connection: sa.Connection, run_id: str, token: str, values: Mapping[str, Any]) -> bool:
    """Update a run if ``token`` still holds it; return whether it did."""
    statement = sa.update(run).where(run.c.id == run_id, run.c.token == token)
    return connection.execute(statement.values(version=run.c.version + 1, **values)).rowcount == 1


def record(connection: sa.Connection, changes: Sequence[tuple[str, str, Mapping[str, Any]]]) -> bool:
    """Update the ``RECORDED`` columns of runs; return whether all tokens still hold their runs."""
    if not changes:
        return True
    values = [
        {"held": run_id, "by": token, **{f"new_{name}": new[name] for name in RECORDED}}
        for run_id, token, new in changes
    ]
    return connection.execute(_RECORD, values).rowcount == len(values)


def renew(connection: sa.Connection, claims: Sequence[Claim], lease_seconds: float) -> None:
    """Renew the leases of these claims."""
    statement = sa.update(run).where(run.c.token.in_([claim.token for claim in claims]))
    connection.execute(statement.values(lease_expires_at=db_now() + lease_seconds))


def statuses(connection: sa.Connection, claims: Sequence[Claim]) -> dict[str, tuple[str, bool]]:
    """Return, for each claim whose token is current, the run's status and whether its time limit is exceeded."""
    over = sa.func.coalesce(run.c.max_seconds < _SPENT, sa.false())
    statement = sa.select(run.c.id, run.c.status, over.label("over"))
    rows = connection.execute(statement.where(run.c.token.in_([claim.token for claim in claims])))
    return {row.id: (row.status, bool(row.over)) for row in rows}


def any_expired(connection: sa.Connection) -> bool:
    """Return whether a lease has expired."""
    lapsed = sa.exists().where(run.c.token.is_not(None), run.c.lease_expires_at < db_now())
    return bool(connection.scalar(sa.select(lapsed)))


def expired(connection: sa.Connection) -> Sequence[Row]:
    """Lock and return the runs whose lease has expired, by the database's clock."""
    # In this order, which is the index's: ordered by id, SQLite would read every run that is stored.
    statement = sa.select(run).where(run.c.token.is_not(None), run.c.lease_expires_at < db_now())
    return connection.execute(statement.order_by(run.c.lease_expires_at).with_for_update(skip_locked=True)).all()


def idle_workers(connection: sa.Connection, seconds: float) -> int:
    """Return the number of workers with a heartbeat in the last ``seconds`` that hold no run."""
    busy = sa.select(run.c.worker_id).where(run.c.token.is_not(None))
    idle = sa.select(sa.func.count()).select_from(worker)
    return connection.execute(idle.where(worker.c.seen_at > db_now() - seconds, worker.c.id.not_in(busy))).scalar_one()


def register_worker(connection: sa.Connection, info: WorkerInfo) -> None:
    """Register a worker, or update its heartbeat and details."""
    values = {"host": info.host, "pid": info.pid, "devices": list(info.devices), "details": dict(info.details)}
    updated = connection.execute(
        sa.update(worker).where(worker.c.id == info.worker_id).values(seen_at=db_now(), **values)
    )
    if updated.rowcount == 0:
        new = sa.insert(worker).values(id=info.worker_id, started_at=db_now(), seen_at=db_now(), **values)
        connection.execute(new)


def touch_worker(connection: sa.Connection, worker_id: str) -> None:
    """Record a heartbeat."""
    connection.execute(sa.update(worker).where(worker.c.id == worker_id).values(seen_at=db_now()))


def remove_worker(connection: sa.Connection, worker_id: str) -> None:
    """Delete a worker."""
    connection.execute(sa.delete(worker).where(worker.c.id == worker_id))


def count_queued(connection: sa.Connection, devices: Sequence[str]) -> int:
    """Return the number of queued runs that one of ``devices`` can train."""
    waiting = sa.and_(run.c.status == "queued", run.c.device.in_(("auto", *devices)))
    return connection.execute(sa.select(sa.func.count()).select_from(run).where(waiting)).scalar_one()


def registered_workers(connection: sa.Connection, seconds: float) -> Sequence[Row]:
    """Return every worker: whether it was ``silent`` for ``seconds``, and whether it is ``busy`` with a run."""
    busy = worker.c.id.in_(sa.select(run.c.worker_id).where(run.c.token.is_not(None)))
    silent = worker.c.seen_at <= db_now() - seconds
    return connection.execute(sa.select(worker.c.id, worker.c.pid, silent.label("silent"), busy.label("busy"))).all()
