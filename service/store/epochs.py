"""Statements on recorded epochs and checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store.runs import Row
from service.store.tables import checkpoint, db_now, epoch
from worker.ports import Checkpoint


def of_run(connection: sa.Connection, run_id: str, *, after: int | None = None) -> Sequence[Row]:
    """A run's epochs in order, from the one after ``after`` on."""
    statement = sa.select(epoch).where(epoch.c.run_id == run_id).order_by(epoch.c.epoch)
    return connection.execute(statement if after is None else statement.where(epoch.c.epoch > after)).all()


def digest(connection: sa.Connection, run_id: str, number: int) -> str | None:
    """The digest of one recorded epoch, or None where it is not recorded."""
    return connection.scalar(sa.select(epoch.c.digest).where(epoch.c.run_id == run_id, epoch.c.epoch == number))


def insert(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """Record an epoch."""
    connection.execute(sa.insert(epoch).values(recorded_at=db_now(), **values))


def delete_from(connection: sa.Connection, run_id: str, number: int) -> int:
    """Forget the epochs from ``number`` on; returns how many there were."""
    return connection.execute(sa.delete(epoch).where(epoch.c.run_id == run_id, epoch.c.epoch >= number)).rowcount


def checkpoints(connection: sa.Connection, run_id: str) -> Sequence[Checkpoint]:
    """A run's checkpoints, newest first."""
    statement = sa.select(checkpoint).where(checkpoint.c.run_id == run_id)
    newest_first = (checkpoint.c.epoch.desc(), checkpoint.c.attempt.desc(), checkpoint.c.written_at.desc())
    return [
        Checkpoint(epoch=row.epoch, path=row.path, sha256=row.sha256, bytes=row.bytes, digest=row.digest)
        for row in connection.execute(statement.order_by(*newest_first))
    ]


def insert_checkpoint(connection: sa.Connection, run_id: str, attempt: int, written: Checkpoint) -> None:
    """Point a run at a checkpoint; one of the same name is replaced."""
    same = (checkpoint.c.run_id == run_id, checkpoint.c.path == written.path)
    connection.execute(sa.delete(checkpoint).where(*same))
    values = {
        "path": written.path,
        "epoch": written.epoch,
        "sha256": written.sha256,
        "bytes": written.bytes,
        "digest": written.digest,
    }
    connection.execute(sa.insert(checkpoint).values(run_id=run_id, attempt=attempt, written_at=db_now(), **values))


def delete_checkpoints(connection: sa.Connection, run_id: str, paths: Sequence[str]) -> None:
    """Point no longer at these."""
    connection.execute(sa.delete(checkpoint).where(checkpoint.c.run_id == run_id, checkpoint.c.path.in_(paths)))
