"""Statements on who teaches whom: the teachers of each student, and where their weights are once they have ended."""

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
    """Let a student have these teachers and no others."""
    connection.execute(sa.delete(teacher).where(teacher.c.run_id == student))
    if rows:
        connection.execute(sa.insert(teacher), [{"run_id": student, **row} for row in rows])


def files_of(connection: sa.Connection, student: str) -> Sequence[WeightsFile]:
    """The weights of a student's teachers, of those that have ended."""
    known = (teacher.c.run_id == student, teacher.c.path.is_not(None))
    found = connection.execute(sa.select(teacher).where(*known).order_by(teacher.c.place))
    return [_file_of(row) for row in found]


def waiting_for(connection: sa.Connection, teacher_id: str) -> Sequence[Row]:
    """The students that wait for this run; locked, in the order of their ids."""
    theirs = sa.select(teacher.c.run_id).where(teacher.c.teacher_id == teacher_id)
    statement = sa.select(run).where(run.c.status == "waiting", run.c.id.in_(theirs))
    return connection.execute(statement.order_by(run.c.id).with_for_update()).all()


def by_content(
    connection: sa.Connection, sha256: str, *, owner: str | None = None
) -> Sequence[tuple[WeightsFile, Mapping[str, Any], str | None]]:
    """Files with this content: of runs (of ``owner``) that trained them, with spec and id, then those of students.

    The files stay until the transaction is over.
    """
    of_runs = (
        sa.select(weights, run.c.spec)
        .join(run, run.c.id == weights.c.run_id)
        .where(weights.c.sha256 == sha256, weights.c.at.in_(("best", "last")), *owned_by(owner))
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
    found = [(_file_of(row), row.spec, row.run_id) for row in connection.execute(of_runs)]
    return found or [(_file_of(row), row.spec, None) for row in connection.execute(of_students)]


def active_equal(connection: sa.Connection, reuse_key: str, *, owner: str | None) -> str | None:
    """The oldest run (of ``owner``) that is on its way to this result, with no limit of time; locked."""
    wanted = (run.c.reuse_key == reuse_key, run.c.status.in_(ACTIVE), run.c.max_seconds.is_(None))
    statement = (
        sa.select(run.c.id)
        .where(*wanted, *owned_by(owner))
        .order_by(run.c.created_at, run.c.id)
        .limit(1)
        .with_for_update()
    )
    return connection.execute(statement).scalar()


def _file_of(row: Row) -> WeightsFile:
    return WeightsFile(at="teacher", epoch=row.epoch, path=row.path, sha256=row.sha256, bytes=row.bytes)
