"""Runs that wait for others: students for their teachers, warm starts for the run whose weights they begin with.

The transaction that ends a run queues or fails those that waited for it.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from service.callers import LOCAL
from service.errors import SpecRefused
from service.runs import states
from service.runs.errors import TransitionRefused
from service.runs.queries import runs as rows
from service.runs.queries.teachers import waiting_for
from service.runs.submission import teachers, warm_starts
from service.runs.submission.new_run import NewRun
from service.store.events import NewEvent
from service.store.rows import Row
from service.store.tables import db_now
from worker.spec.keys import keys_of
from worker.spec.run import RunSpec


def after_teacher(connection: sa.Connection, run_id: str, status: str) -> list[NewEvent]:
    """Queue or fail the runs that wait for a run that has just ended in ``status``, and return their events."""
    events = []
    for waiting in waiting_for(connection, run_id):
        if status == "succeeded":
            events += _queue_if_ready(connection, waiting)
        elif waiting.waits_for == run_id:
            message = f"The run {run_id}, whose weights it starts from, {_ended(connection, run_id, status)}."
            events += _fail(connection, waiting, message, code="source_failed")
        else:
            events += _fail(connection, waiting, f"Its teacher {run_id} {states.ending(status)}.")
    return events


def after_all(connection: sa.Connection, ended: Mapping[str, str]) -> list[NewEvent]:
    """Queue or fail the runs that wait for runs that have ended, given with their statuses; return the events."""
    return [event for run_id, status in ended.items() for event in after_teacher(connection, run_id, status)]


def _ended(connection: sa.Connection, run_id: str, status: str) -> str:
    row = rows.by_id(connection, run_id)
    return "diverged" if row is not None and row.error_code == "diverged" else states.ending(status)


def retry(connection: sa.Connection, row: Row) -> list[NewEvent]:
    """Let a run that ended before those it needs wait again, or queue it if they have finished; return the events.

    Raises:
        TransitionRefused: One of them was deleted, has failed or was cancelled.
    """
    _check_teachers(connection, row)
    _check_source(connection, row)
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
            raise TransitionRefused(f"The teacher {row.id} {states.ending(row.status)}. Retry the teacher first.")


def _check_source(connection: sa.Connection, row: Row) -> None:
    """Refuse to retry a run if the one whose weights it starts from will not have any."""
    start = RunSpec.of(row.spec).warm_start
    if start is None or not start.pending:
        return
    source = rows.by_id(connection, start.run_id or "", lock=True)
    if source is None:
        message = f"The run {start.run_id}, whose weights it starts from, was deleted. Clone the run with another one."
        raise TransitionRefused(message)
    if source.status in ("failed", "cancelled"):
        ended = "diverged" if source.error_code == "diverged" else states.ending(source.status)
        remedy = "Clone the run with another one." if ended == "diverged" else "Retry that run first."
        raise TransitionRefused(f"The run {source.id}, whose weights it starts from, {ended}. {remedy}")


def _queue_if_ready(connection: sa.Connection, waiting: Row) -> list[NewEvent]:
    """Queue a waiting run if all that it waits for have finished; fail it if their weights are of no use to it."""
    code = "source_failed" if waiting.waits_for is not None else "teacher_failed"
    try:
        started = warm_starts.resolve(connection, NewRun(RunSpec.of(waiting.spec)), LOCAL)
        code = "teacher_failed"
        spec = teachers.resolve(connection, started, LOCAL).spec
        if teachers.has_pending(spec) or warm_starts.is_pending(spec):
            return []
        warm_starts.attach(connection, waiting.id, spec.model_dump(mode="json"))
        teachers.attach(connection, waiting.id, spec.model_dump(mode="json"))
    except SpecRefused as refusal:
        return _fail(connection, waiting, refusal.detail, code=code)
    keys = keys_of(spec)._asdict()
    stored = {"spec": spec.model_dump(mode="json"), "waits_for": None, **keys}
    values = {"status": states.after("waiting", "ready"), **stored}
    assert rows.change(connection, waiting.id, "waiting", values), f"{waiting.id} was locked and yet changed"
    return [NewEvent(waiting.id, "run.queued", {"action": "ready"})]


def _fail(connection: sa.Connection, waiting: Row, message: str, *, code: str = "teacher_failed") -> list[NewEvent]:
    """Fail a waiting run, and those that wait for it in turn."""
    error = {"error_code": code, "error_message": message, "finished_at": db_now()}
    values = {"status": states.after("waiting", "fail"), **error}
    assert rows.change(connection, waiting.id, "waiting", values), f"{waiting.id} was locked and yet changed"
    event = NewEvent(waiting.id, "run.failed", {"code": code})
    return [event, *after_teacher(connection, waiting.id, "failed")]
