"""Statements on files that the workers wrote: checkpoints, the weights of best and last epochs and of teachers.

Several runs may point at one file: whoever drops a row asks which paths nothing points at any more.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from service.runs.queries.runs import owned_by
from service.store.rows import Row
from service.store.tables import checkpoint, db_now, run, teacher, weights
from worker.ports import Checkpoint, WeightsFile

POINTING = (checkpoint, weights, teacher)
"""The tables whose rows point at files."""


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
    delete_checkpoints(connection, run_id, [written.path])
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


def forget_checkpoints(connection: sa.Connection, seconds: float, limit: int) -> list[str]:
    """Point no longer at up to ``limit`` checkpoints of runs that ended more than ``seconds`` ago; their paths."""
    ended = sa.select(run.c.id).where(run.c.finished_at < db_now() - seconds)
    old = sa.select(checkpoint.c.run_id, checkpoint.c.path).where(checkpoint.c.run_id.in_(ended)).limit(limit)
    found = connection.execute(old).all()
    for row in found:
        delete_checkpoints(connection, row.run_id, [row.path])
    return [row.path for row in found]


def weights_of(connection: sa.Connection, run_id: str) -> Sequence[WeightsFile]:
    """A run's files of weights."""
    found = connection.execute(sa.select(weights).where(weights.c.run_id == run_id).order_by(weights.c.at))
    return [WeightsFile(at=row.at, epoch=row.epoch, path=row.path, sha256=row.sha256, bytes=row.bytes) for row in found]


def by_content(connection: sa.Connection, sha256: str, *, owner: str | None = None) -> tuple[WeightsFile, str] | None:
    """A file of weights with this content, and the id of a run (of ``owner``) it is of.

    It stays until the transaction is over.
    """
    of_run = sa.select(weights).join(run, run.c.id == weights.c.run_id)
    statement = of_run.where(weights.c.sha256 == sha256, *owned_by(owner)).limit(1)
    row = connection.execute(statement.with_for_update(read=True, of=weights)).first()
    return None if row is None else (_file_of(row), row.run_id)


def _file_of(row: Row) -> WeightsFile:
    return WeightsFile(at=row.at, epoch=row.epoch, path=row.path, sha256=row.sha256, bytes=row.bytes)


def replace_weights(connection: sa.Connection, run_id: str, written: WeightsFile) -> str | None:
    """Point a run at its weights of the best or the last epoch; the path it pointed at before."""
    same = (weights.c.run_id == run_id, weights.c.at == written.at)
    old: str | None = connection.scalar(sa.select(weights.c.path).where(*same))
    connection.execute(sa.delete(weights).where(*same))
    values = {
        "at": written.at,
        "path": written.path,
        "epoch": written.epoch,
        "sha256": written.sha256,
        "bytes": written.bytes,
    }
    connection.execute(sa.insert(weights).values(run_id=run_id, written_at=db_now(), **values))
    return old


def written(connection: sa.Connection, run_id: str) -> tuple[Sequence[Row], Sequence[Row]]:
    """All that is known of a run's checkpoints, newest first, and of its weights."""
    newest_first = (checkpoint.c.epoch.desc(), checkpoint.c.attempt.desc(), checkpoint.c.written_at.desc())
    saved = sa.select(checkpoint).where(checkpoint.c.run_id == run_id).order_by(*newest_first)
    kept = sa.select(weights).where(weights.c.run_id == run_id).order_by(weights.c.at)
    return connection.execute(saved).all(), connection.execute(kept).all()


def share_progress(connection: sa.Connection, run_id: str, to: str) -> None:
    """Let another run point at this one's checkpoints and at the weights of its best epoch, too."""
    for table, condition in ((checkpoint, sa.true()), (weights, weights.c.at == "best")):
        columns = [column for column in table.c if column.name != "run_id"]
        of_run = sa.select(sa.literal(to), *columns).where(table.c.run_id == run_id, condition)
        connection.execute(sa.insert(table).from_select(["run_id", *(column.name for column in columns)], of_run))


def paths_of(connection: sa.Connection, run_id: str) -> Sequence[str]:
    """Every path that a run points at."""
    all_of_them = sa.union(*(sa.select(table.c.path).where(table.c.run_id == run_id) for table in POINTING))
    return [path for path in connection.execute(all_of_them).scalars() if path is not None]


def unused(connection: sa.Connection, paths: Sequence[str]) -> list[str]:
    """Those of ``paths`` that nothing points at."""
    all_of_them = sa.union(*(sa.select(table.c.path).where(table.c.path.in_(paths)) for table in POINTING))
    used = set(connection.execute(all_of_them).scalars())
    return [path for path in dict.fromkeys(paths) if path not in used]
