"""Teachers of students: found at submission, waited for where they have not ended, named by content when they have.

What a student's result depends on is a teacher's weights, by their SHA-256, and the network that computes with them.
Both are written into its spec as soon as they are there, and the student points at the file, so that it stays whatever
becomes of the teacher's run. Until then the student is ``waiting``; the transaction that ends its last teacher queues
it, or fails it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from service.callers import LOCAL, Caller
from service.errors import FieldError, SpecRefused
from service.runs import states
from service.runs.errors import TransitionRefused
from service.runs.queries import files
from service.runs.queries import runs as rows
from service.runs.queries import teachers as store
from service.runs.submission.review import NewRun
from service.store.events import NewEvent
from service.store.rows import Row
from service.store.tables import db_now
from worker.ports import WeightsFile
from worker.spec.regularizers.distillation import Distillation, Teacher, TeacherNetwork, teachers_of
from worker.spec.run import RunSpec, keys_of

Change = Callable[[Teacher, str], Teacher]
"""What becomes of a teacher, given its place in the spec as a JSON pointer."""


def waits(spec: RunSpec) -> bool:
    """Whether a run cannot begin yet, since some teacher's weights are not there."""
    return any(teacher.sha256 is None for teacher in teachers_of(spec))


def changed(spec: RunSpec, change: Change) -> RunSpec:
    """The spec with other teachers; itself where none is another one."""
    regularizers = list(spec.regularizers)
    for i, part in enumerate(regularizers):
        if isinstance(part, Distillation):
            places = (f"/regularizers/{i}/teachers/{j}" for j in range(len(part.teachers)))
            teachers = tuple(change(teacher, place) for teacher, place in zip(part.teachers, places, strict=True))
            regularizers[i] = part.model_copy(update={"teachers": teachers})
    if tuple(regularizers) == spec.regularizers:
        return spec
    return spec.model_copy(update={"regularizers": tuple(regularizers)})


def resolved(connection: sa.Connection, new: NewRun, caller: Caller, *, lock: bool = False) -> NewRun:
    """The run with its teachers named by content, as far as they have ended; specs to train first stay as they are.

    With ``lock`` none of those that have not ended ends before the transaction is over.

    Raises:
        SpecRefused: there is no such run, it ended without weights, or its model does not fit the student's data.
    """

    def look(teacher: Teacher, place: str) -> Teacher:
        if teacher.spec is not None:
            return teacher
        if teacher.sha256 is not None:
            return _by_content(connection, teacher, new.spec, place, caller)
        row = rows.by_id(connection, teacher.run_id or "", lock=lock)
        if row is None or not caller.sees(row.owner):
            message = f"There is no run {teacher.run_id!r} to learn from."
            raise _refused(f"{place}/run_id", "run_not_found", message)
        return _by_run(connection, teacher, row, new.spec, place)

    spec = _with_digests(changed(new.spec, look))
    return new if spec is new.spec else replace(new, spec=spec)


def _with_digests(spec: RunSpec) -> RunSpec:
    """The spec with its transfer set named by content."""
    regularizers = list(spec.regularizers)
    for i, part in enumerate(regularizers):
        if isinstance(part, Distillation) and part.transfer is not None:
            named = part.transfer.model_copy(update={"digest": part.transfer.dataset.digest()})
            regularizers[i] = part.model_copy(update={"transfer": named})
    if tuple(regularizers) == spec.regularizers:
        return spec
    return spec.model_copy(update={"regularizers": tuple(regularizers)})


def attach(connection: sa.Connection, student: str, spec: Mapping[str, Any]) -> None:
    """Write down a new run's teachers, where it has some, and point at the weights that are there.

    Raises:
        SpecRefused: weights were removed since they were resolved.
    """
    if not any("teachers" in part for part in spec["regularizers"]):
        return
    found: list[dict[str, Any]] = []
    for teacher in teachers_of(RunSpec.of(spec)):
        file: WeightsFile | None = None
        if teacher.sha256 is not None:
            known = store.by_content(connection, teacher.sha256)
            if not known:
                message = f"The weights of the teacher {teacher.run_id} were removed just now; name another run."
                raise _refused("/regularizers", "no_weights", message)
            file = known[0][0]
        where = {name: getattr(file, name, None) for name in ("path", "epoch", "sha256", "bytes")}
        found.append({"place": len(found), "teacher_id": teacher.run_id, **where})
    store.replace(connection, student, found)


def ended(connection: sa.Connection, run_id: str, status: str) -> list[NewEvent]:
    """Queue or fail the students that waited for a run which has ended so; what is to be told of them."""
    told = []
    for student in store.waiting_for(connection, run_id):
        if status == "succeeded":
            told += _look_again(connection, student)
        else:
            told += _fail(connection, student, f"The teacher {run_id} was to be trained first, and {_how(status)}.")
    return told


def retried(connection: sa.Connection, row: Row) -> list[NewEvent]:
    """Let a student that ended while it waited wait again, or queue it where its teachers have ended.

    Raises:
        TransitionRefused: a teacher will never be there as things are.
    """
    for teacher in teachers_of(RunSpec.of(row.spec)):
        one = None if teacher.run_id is None else rows.by_id(connection, teacher.run_id, lock=True)
        if teacher.sha256 is None and one is None:
            raise TransitionRefused(f"Its teacher {teacher.run_id} is gone; clone the run with another one.")
        if teacher.sha256 is None and one is not None and one.status in ("failed", "cancelled"):
            raise TransitionRefused(f"Its teacher {teacher.run_id} {_how(one.status)}; retry that one first.")
    status = states.after(row.status, "wait")
    assert status == "waiting", f"{row.id} is {row.status} and cannot wait"
    values = {"status": status, "finished_at": None, "error_code": None, "error_message": None, "barren": 0}
    assert rows.change(connection, row.id, row.status, values), f"{row.id} was locked and yet changed"
    again = rows.by_id(connection, row.id)
    assert again is not None
    return [NewEvent(row.id, "run.waiting", {"action": "retry"}), *_look_again(connection, again)]


def _look_again(connection: sa.Connection, student: Row) -> list[NewEvent]:
    """Queue a waiting student if all its teachers have ended."""
    try:
        spec = resolved(connection, NewRun(RunSpec.of(student.spec)), LOCAL).spec
        if waits(spec):
            return []
        attach(connection, student.id, spec.model_dump(mode="json"))
    except SpecRefused as refusal:
        return _fail(connection, student, refusal.detail)
    names = keys_of(spec)._asdict()
    values = {"status": states.after("waiting", "ready"), "spec": spec.model_dump(mode="json"), **names}
    assert rows.change(connection, student.id, "waiting", values), f"{student.id} was locked and yet changed"
    return [NewEvent(student.id, "run.queued", {"action": "ready"})]


def _fail(connection: sa.Connection, student: Row, message: str) -> list[NewEvent]:
    """End a waiting student, and those that wait for it in turn."""
    why = {"error_code": "teacher_failed", "error_message": message, "finished_at": db_now()}
    values = {"status": states.after("waiting", "fail"), **why}
    assert rows.change(connection, student.id, "waiting", values), f"{student.id} was locked and yet changed"
    told = [NewEvent(student.id, "run.failed", {"code": "teacher_failed"})]
    return told + ended(connection, student.id, "failed")


def _how(status: str) -> str:
    return "was cancelled" if status == "cancelled" else status


def _by_run(connection: sa.Connection, teacher: Teacher, row: Row, student: RunSpec, place: str) -> Teacher:
    """The teacher with the weights that its run, in ``row``, has; as it is where the run has not ended."""
    spec = RunSpec.of(row.spec)
    _check_data(spec, student, row.id, f"{place}/run_id")
    if row.status not in states.TERMINAL:
        return teacher
    kept = {file.at: file for file in files.weights_of(connection, row.reused_from or row.id)}
    if teacher.at not in kept:
        message = f"{row.id} {_how(row.status)} and has no weights of its {teacher.at} epoch; name another run."
        raise _refused(f"{place}/run_id", "no_weights", message)
    if row.error_code == "diverged" and teacher.at == "last":
        message = f"{row.id} diverged: its last weights are no numbers. Those of its best epoch can teach (at: best)."
        raise _refused(f"{place}/at", "diverged", message)
    return teacher.model_copy(update={"sha256": kept[teacher.at].sha256, "network": TeacherNetwork.of(spec)})


def _by_content(connection: sa.Connection, teacher: Teacher, student: RunSpec, place: str, caller: Caller) -> Teacher:
    """The teacher with its network: the given one if it can compute with these weights, else that of who has them."""
    known = store.by_content(connection, teacher.sha256 or "", owner=caller.only)
    if not known:
        message = f"No run has weights with the SHA-256 {teacher.sha256!r} any more; leave it out to take new ones."
        raise _refused(f"{place}/sha256", "no_weights", message)
    _, spec, run_id = next((one for one in known if one[2] == teacher.run_id), known[0])
    network = _network_in(RunSpec.of(spec), run_id, teacher.sha256)
    if teacher.network is None:
        return teacher.model_copy(update={"network": network})
    if _shapes(teacher.network, student) != _shapes(network, student):
        message = "These weights are another model's; leave the network out, and it is found."
        raise _refused(f"{place}/network", "other_model", message)
    return teacher


def _network_in(spec: RunSpec, run_id: str | None, sha256: str | None) -> TeacherNetwork:
    """Of the run that trained these weights, or as a student of theirs has it."""
    if run_id is not None:
        return TeacherNetwork.of(spec)
    return next(one.network for one in teachers_of(spec) if one.sha256 == sha256 and one.network is not None)


def _check_data(teacher: RunSpec, student: RunSpec, run_id: str, pointer: str) -> None:
    """Refuse a teacher that is no network, or one for rows of another shape or with another number of classes."""
    if not teacher.model.trains:
        message = f"{run_id} is of kind {teacher.model.kind!r}, which has no logits to teach; name a network's run."
        raise _refused(pointer, "no_network", message)
    theirs, mine = ((list(spec.dataset.shape), spec.dataset.outputs) for spec in (teacher, student))
    if theirs != mine:
        message = (
            f"{run_id} tells {theirs[1]} classes of rows of shape {theirs[0]} apart, and the student {mine[1]} classes "
            f"of {mine[0]}; a teacher has the student's."
        )
        raise _refused(pointer, "other_data", message)


def _shapes(network: TeacherNetwork, student: RunSpec) -> dict[str, tuple[int, ...]]:
    shape = student.dataset.shape
    return {**network.model.parameters(shape, student.dataset.outputs), **network.model.buffers(shape)}


def _refused(pointer: str, code: str, message: str) -> SpecRefused:
    return SpecRefused(message, errors=[FieldError(pointer, code, message)])
