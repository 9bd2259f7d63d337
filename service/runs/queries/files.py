"""Statements on the files that workers write: checkpoints, and weights of best and last epochs and of teachers.

Several runs may reference one file. After deleting rows, ask ``unreferenced`` which files can go.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from service.runs.queries.runs import owned_by
from service.store.rows import Row
from service.store.tables import checkpoint, db_now, run, teacher, weights
from worker.ports import Checkpoint, WeightsFile

FILE_TABLES = (checkpoint, weights, teacher)
"""The tables whose rows reference files."""
_NEWEST_FIRST = (checkpoint.c.epoch.desc(), checkpoint.c.attempt.desc(), checkpoint.c.written_at.desc())


def checkpoints(connection: sa.Connection, run_id: str) -> Sequence[Checkpoint]:
    """Return a run's checkpoints, newest first."""
    statement = sa.select(checkpoint).where(checkpoint.c.run_id == run_id)
    return [
        Checkpoint(epoch=row.epoch, path=row.path, sha256=row.sha256, bytes=row.bytes, digest=row.digest)
        for row in connection.execute(statement.order_by(*_NEWEST_FIRST))
    ]


def insert_checkpoint(connection: sa.Connection, run_id: str, attempt: int, file: Checkpoint) -> None:
    """Record a checkpoint of a run, replacing one with the same path."""
    delete_checkpoints(connection, run_id, [file.path])
    values = {
        "path": file.path,
        "epoch": file.epoch,
        "sha256": file.sha256,
        "bytes": file.bytes,
        "digest": file.digest,
    }
    connection.execute(sa.insert(checkpoint).values(run_id=run_id, attempt=attempt, written_at=db_now(), **values))


def delete_checkpoints(connection: sa.Connection, run_id: str, paths: Sequence[str]) -> None:
    """Delete a run's references to these checkpoints."""
    connection.execute(sa.delete(checkpoint).where(checkpoint.c.run_id == run_id, checkpoint.c.path.in_(paths)))


def expire_checkpoints(connection: sa.Connection, seconds: float, limit: int) -> list[str]:
    """Delete up to ``limit`` checkpoints of runs that finished more than ``seconds`` ago; return their paths."""
    finished = sa.select(run.c.id).where(run.c.finished_at < db_now() - seconds)
    old = sa.select(checkpoint.c.run_id, checkpoint.c.path).where(checkpoint.c.run_id.in_(finished)).limit(limit)
    rows = connection.execute(old).all()
    for row in rows:
        delete_checkpoints(connection, row.run_id, [row.path])
    return [row.path for row in rows]


def weights_of(connection: sa.Connection, run_id: str) -> Sequence[WeightsFile]:
    """Return a run's weights files."""
    rows = connection.execute(sa.select(weights).where(weights.c.run_id == run_id).order_by(weights.c.at))
    return [_weights_file(row) for row in rows]


def by_content(connection: sa.Connection, sha256: str, *, owner: str | None = None) -> tuple[WeightsFile, str] | None:
    """Return a weights file with this content and the id of its run (of ``owner``), or None.

    A run that trained the weights comes before one that started with them. The row is locked: the file stays until the
    transaction ends.
    """
    of_run = sa.select(weights).join(run, run.c.id == weights.c.run_id)
    statement = of_run.where(weights.c.sha256 == sha256, *owned_by(owner))
    statement = statement.order_by(weights.c.at == "start").limit(1)
    row = connection.execute(statement.with_for_update(read=True, of=weights)).first()
    return None if row is None else (_weights_file(row), row.run_id)


def _weights_file(row: Row) -> WeightsFile:
    return WeightsFile(at=row.at, epoch=row.epoch, path=row.path, sha256=row.sha256, bytes=row.bytes)


def replace_weights(connection: sa.Connection, run_id: str, file: WeightsFile) -> str | None:
    """Record a run's weights of the best, last or first epoch; return the path that they replace, or None."""
    same = (weights.c.run_id == run_id, weights.c.at == file.at)
    old: str | None = connection.scalar(sa.select(weights.c.path).where(*same))
    connection.execute(sa.delete(weights).where(*same))
    values = {
        "at": file.at,
        "path": file.path,
        "epoch": file.epoch,
        "sha256": file.sha256,
        "bytes": file.bytes,
    }
    connection.execute(sa.insert(weights).values(run_id=run_id, written_at=db_now(), **values))
    return old


def artifacts(connection: sa.Connection, run_id: str) -> tuple[Sequence[Row], Sequence[Row]]:
    """Return the rows of a run's checkpoints, newest first, and of its weights files."""
    saved = sa.select(checkpoint).where(checkpoint.c.run_id == run_id).order_by(*_NEWEST_FIRST)
    models = sa.select(weights).where(weights.c.run_id == run_id).order_by(weights.c.at)
    return connection.execute(saved).all(), connection.execute(models).all()


def share_progress(connection: sa.Connection, run_id: str, to: str) -> None:
    """Let the run ``to`` reference this run's checkpoints and its best weights, too."""
    for table, condition in ((checkpoint, sa.true()), (weights, weights.c.at == "best")):
        columns = [column for column in table.c if column.name != "run_id"]
        source = sa.select(sa.literal(to), *columns).where(table.c.run_id == run_id, condition)
        connection.execute(sa.insert(table).from_select(["run_id", *(column.name for column in columns)], source))


def paths_of(connection: sa.Connection, run_id: str) -> Sequence[str]:
    """Return every path that a run references."""
    referenced = sa.union(*(sa.select(table.c.path).where(table.c.run_id == run_id) for table in FILE_TABLES))
    return [path for path in connection.execute(referenced).scalars() if path is not None]


def unreferenced(connection: sa.Connection, paths: Sequence[str]) -> list[str]:
    """Return those of ``paths`` that no run references."""
    referenced = sa.union(*(sa.select(table.c.path).where(table.c.path.in_(paths)) for table in FILE_TABLES))
    used = set(connection.execute(referenced).scalars())
    return [path for path in dict.fromkeys(paths) if path not in used]
