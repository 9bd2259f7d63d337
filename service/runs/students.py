"""Students that wait for teachers: the transaction that ends a run queues or fails the students that waited for it."""

from __future__ import annotations

import sqlalchemy as sa

from service.callers import LOCAL
from service.errors import SpecRefused
from service.runs import states
from service.runs.errors import TransitionRefused
from service.runs.queries import runs as rows
from service.runs.queries.teachers import waiting_students
from service.runs.submission import teachers
from service.runs.submission.new_run import NewRun
from service.store.events import NewEvent
from service.store.rows import Row
from service.store.tables import db_now
from worker.spec.keys import keys_of
from worker.spec.run import RunSpec


def after_teacher(connection: sa.Connection, run_id: str, status: str) -> list[NewEvent]:
    """Queue or fail the students of a run that has just ended in ``status``, and return their events."""
    events = []
    for student in waiting_students(connection, run_id):
        if status == "succeeded":
            events += _queue_if_ready(connection, student)
        else:
            events += _fail(connection, student, f"Its teacher {run_id} {teachers.ending(status)}.")
    return events


def retry(connection: sa.Connection, row: Row) -> list[NewEvent]:
    """Let a student that ended before its teachers wait again, or queue it if they have finished; return the events.

    Raises:
        TransitionRefused: A teacher was deleted, has failed or was cancelled.
    """
    _check_teachers(connection, row)
    status = states.after(row.status, "wait")
    assert status == "waiting", f"{row.id} is {row.status} and cannot wait"
    values = {"status": status, "finished_at": None, "error_code": None, "error_message": None, "barren": 0}
    assert rows.change(connection, row.id, row.status, values), f"{row.id} was locked and yet changed"
    student = rows.by_id(connection, row.id)
    assert student is not None
    return [NewEvent(row.id, "run.waiting", {"action": "retry"}), *_queue_if_ready(connection, student)]


def _check_teachers(connection: sa.Connection, student: Row) -> None:
    """Refuse to retry a student whose teachers will not produce weights."""
    for teacher in RunSpec.of(student.spec).teachers:
        row = None if teacher.run_id is None else rows.by_id(connection, teacher.run_id, lock=True)
        if teacher.sha256 is not None:
            continue
        if row is None:
            raise TransitionRefused(f"The teacher {teacher.run_id} was deleted. Clone the run with another teacher.")
        if row.status in ("failed", "cancelled"):
            raise TransitionRefused(f"The teacher {row.id} {teachers.ending(row.status)}. Retry the teacher first.")


def _queue_if_ready(connection: sa.Connection, student: Row) -> list[NewEvent]:
    """Queue a waiting student if all its teachers have finished; fail it if their weights cannot teach it."""
    try:
        spec = teachers.resolve(connection, NewRun(RunSpec.of(student.spec)), LOCAL).spec
        if teachers.has_pending(spec):
            return []
        teachers.attach(connection, student.id, spec.model_dump(mode="json"))
    except SpecRefused as refusal:
        return _fail(connection, student, refusal.detail)
    keys = keys_of(spec)._asdict()
    values = {"status": states.after("waiting", "ready"), "spec": spec.model_dump(mode="json"), **keys}
    assert rows.change(connection, student.id, "waiting", values), f"{student.id} was locked and yet changed"
    return [NewEvent(student.id, "run.queued", {"action": "ready"})]


def _fail(connection: sa.Connection, student: Row, message: str) -> list[NewEvent]:
    """Fail a waiting student, and the students that wait for it in turn."""
    error = {"error_code": "teacher_failed", "error_message": message, "finished_at": db_now()}
    values = {"status": states.after("waiting", "fail"), **error}
    assert rows.change(connection, student.id, "waiting", values), f"{student.id} was locked and yet changed"
    event = NewEvent(student.id, "run.failed", {"code": "teacher_failed"})
    return [event, *after_teacher(connection, student.id, "failed")]
