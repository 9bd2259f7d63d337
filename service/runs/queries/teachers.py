"""Statements on teachers of students, and on the teachers' weights once they have finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.runs.queries.runs import owned_by
from service.store.rows import Row
from service.store.tables import run, teacher, weights
from worker.ports import WeightsFile

ACTIVE = ("waiting", "queued", "running")


def replace(connection: sa.Connection, student: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace all teachers of a student."""
    connection.execute(sa.delete(teacher).where(teacher.c.run_id == student))
    if rows:
        connection.execute(sa.insert(teacher), [{"run_id": student, **row} for row in rows])


def weights_of(connection: sa.Connection, student: str) -> Sequence[WeightsFile]:
    """Return the weights of a student's finished teachers."""
    finished = (teacher.c.run_id == student, teacher.c.path.is_not(None))
    rows = connection.execute(sa.select(teacher).where(*finished).order_by(teacher.c.place))
    return [_weights_file(row) for row in rows]


def waiting_for(connection: sa.Connection, run_id: str) -> Sequence[Row]:
    """Lock and return the runs that wait for this teacher or these weights, ordered by id to avoid deadlocks."""
    students = sa.select(teacher.c.run_id).where(teacher.c.teacher_id == run_id)
    warm = sa.select(run.c.id).where(run.c.waits_for == run_id)
    statement = sa.select(run).where(run.c.status == "waiting", run.c.id.in_(sa.union_all(students, warm)))
    return connection.execute(statement.order_by(run.c.id).with_for_update()).all()


def by_content(
    connection: sa.Connection, sha256: str, *, owner: str | None = None
) -> Sequence[tuple[WeightsFile, Mapping[str, Any], str | None]]:
    """Return weights files with this content, each with the spec and the id of the run that trained it.

    If those runs are deleted, return a student's reference instead, with the student's spec and None. Only runs of
    ``owner`` count. The rows are locked: the files stay until the transaction ends.
    """
    of_runs = (
        sa.select(weights, run.c.spec)
        .join(run, run.c.id == weights.c.run_id)
        .where(weights.c.sha256 == sha256, weights.c.at != "start", *owned_by(owner))
        .order_by(weights.c.run_id, weights.c.at)
        .limit(100)
        .with_for_update(read=True, of=weights)
    )
    of_students = (
        sa.select(teacher, run.c.spec)
        .join(run, run.c.id == teacher.c.run_id)
        .where(teacher.c.sha256 == sha256, *owned_by(owner))
        .order_by(teacher.c.run_id, teacher.c.place)
        .limit(1)
        .with_for_update(read=True, of=teacher)
    )
    trained = [(_weights_file(row), row.spec, row.run_id) for row in connection.execute(of_runs)]
    return trained or [(_weights_file(row), row.spec, None) for row in connection.execute(of_students)]


def active_equal(connection: sa.Connection, reuse_key: str, *, owner: str | None) -> str | None:
    """Lock and return the id of the oldest active run (of ``owner``) with this result and no time limit, or None."""
    equal = (run.c.reuse_key == reuse_key, run.c.status.in_(ACTIVE), run.c.max_seconds.is_(None))
    statement = (
        sa.select(run.c.id)
        .where(*equal, *owned_by(owner))
        .order_by(run.c.created_at, run.c.id)
        .limit(1)
        .with_for_update()
    )
    return connection.execute(statement).scalar()


def _weights_file(row: Row) -> WeightsFile:
    return WeightsFile(at="teacher", epoch=row.epoch, path=row.path, sha256=row.sha256, bytes=row.bytes)
