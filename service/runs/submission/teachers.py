"""Teachers of students: named by the SHA-256 of their weights as soon as they have finished.

A student's result depends on a teacher's weights and on the network that computes with them. Both are written into the
student's spec once they exist, and the student references the file, which therefore outlives the teacher's run. Until
then the student is ``waiting``; ``service.runs.students`` queues or fails it when its teachers finish.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from service.callers import Caller
from service.errors import SpecRefused
from service.pointers import pointer_to
from service.runs import states
from service.runs.queries import files
from service.runs.queries import runs as rows
from service.runs.queries import teachers as teacher_rows
from service.runs.saved_weights import At, availability, non_finite
from service.runs.submission.new_run import NewRun
from service.store.rows import Row
from worker.ports import WeightsFile
from worker.spec.networks.embedded import with_embedding
from worker.spec.references import replaced
from worker.spec.run import RunSpec
from worker.spec.teachers import Teacher, TeacherNetwork

Change = Callable[[Teacher, str], Teacher]
"""A function from a teacher and its JSON pointer in the spec to the teacher that replaces it."""


def has_pending(spec: RunSpec) -> bool:
    """Return whether a teacher has no weights yet, so that the run cannot start."""
    return any(teacher.sha256 is None for teacher in spec.teachers)


def map_teachers(spec: RunSpec, change: Change) -> RunSpec:
    """Return the spec with ``change`` applied to every teacher; the same object if nothing changes."""
    for place, teacher in spec.references().teachers.items():
        spec = replaced(spec, place, change(teacher, pointer_to(*place)))
    return spec


def resolve(connection: sa.Connection, new: NewRun, caller: Caller, *, lock: bool = False) -> NewRun:
    """Return the run with the weights of finished teachers named by SHA-256; teachers given as specs are unchanged.

    With ``lock``, unfinished teachers cannot finish until the transaction ends.

    Raises:
        SpecRefused: A teacher's run does not exist, finished without weights, or does not fit the student's data.
    """

    def resolve_teacher(teacher: Teacher, place: str) -> Teacher:
        if teacher.spec is not None:
            return teacher
        if teacher.sha256 is not None:
            return _resolve_by_content(connection, teacher, new.spec, place, caller)
        row = rows.by_id(connection, teacher.run_id or "", lock=lock)
        if row is None or not caller.sees(row.owner):
            message = f"Teacher run {teacher.run_id!r} does not exist."
            raise SpecRefused.at(f"{place}/run_id", "run_not_found", message)
        return _resolve_by_run(connection, teacher, row, new.spec, place)

    spec = _with_digests(map_teachers(new.spec, resolve_teacher))
    return new if spec is new.spec else replace(new, spec=spec)


def _with_digests(spec: RunSpec) -> RunSpec:
    """Return the spec with the digests of the data that its parts refer to."""
    for place, dataset in spec.references().datasets.items():
        if place != ("dataset",):
            spec = replaced(spec, (*place[:-1], "digest"), dataset.digest())
    return spec


def attach(connection: sa.Connection, student: str, spec: Mapping[str, Any]) -> None:
    """Store the teachers of a run, if it has any, with references to their weights as far as these exist.

    Raises:
        SpecRefused: Weights were deleted after they were resolved.
    """
    if not any("teachers" in part for part in spec["regularizers"]):
        return
    values: list[dict[str, Any]] = []
    for teacher in RunSpec.of(spec).teachers:
        file: WeightsFile | None = None
        if teacher.sha256 is not None:
            matches = teacher_rows.by_content(connection, teacher.sha256)
            if not matches:
                message = f"The weights of the teacher {teacher.run_id} have just been deleted. Name another run."
                raise SpecRefused.at("/regularizers", "no_weights", message)
            file = matches[0][0]
        reference = {name: getattr(file, name, None) for name in ("path", "epoch", "sha256", "bytes")}
        values.append({"place": len(values), "teacher_id": teacher.run_id, **reference})
    teacher_rows.replace(connection, student, values)


def _no_weights(row: Row, at: At) -> str:
    ended = states.ending(row.status) if row.status in states.TERMINAL else f"is {row.status!r}"
    return f"{row.id} {ended} and has no {at} weights: {availability(at, row)}. Name another run."


def _resolve_by_run(connection: sa.Connection, teacher: Teacher, row: Row, student: RunSpec, place: str) -> Teacher:
    """Return the teacher with the weights of its run in ``row``; unchanged if the run has not finished."""
    spec = RunSpec.of(row.spec)
    _check_data(spec, student, row.id, f"{place}/run_id")
    if teacher.at == "averaged" and spec.averaging is None:
        raise SpecRefused.at(f"{place}/at", "no_weights", _no_weights(row, teacher.at), allowed=["best", "last"])
    if row.status not in states.TERMINAL:
        return teacher
    stored = {file.at: file for file in files.weights_of(connection, row.reused_from or row.id)}
    if teacher.at not in stored:
        raise SpecRefused.at(f"{place}/run_id", "no_weights", _no_weights(row, teacher.at))
    if (refusal := non_finite(teacher.at, row, stored)) is not None:
        raise SpecRefused.at(f"{place}/at", "diverged", refusal, allowed=["best"] if "best" in stored else [])
    return teacher.model_copy(update={"sha256": stored[teacher.at].sha256, "network": TeacherNetwork.of(spec)})


def _resolve_by_content(
    connection: sa.Connection, teacher: Teacher, student: RunSpec, place: str, caller: Caller
) -> Teacher:
    """Return the teacher with its network: the given one if it fits the weights, else that of the weights' run."""
    matches = teacher_rows.by_content(connection, teacher.sha256 or "", owner=caller.only)
    if not matches:
        message = f"No run has weights with the SHA-256 {teacher.sha256!r}. Omit sha256 to use the current weights."
        raise SpecRefused.at(f"{place}/sha256", "no_weights", message)
    _, spec, run_id = next((match for match in matches if match[2] == teacher.run_id), matches[0])
    if run_id is not None:
        _check_finite(connection, teacher, run_id, f"{place}/sha256")
    source = RunSpec.of(spec)
    _check_embedding(source, student, run_id or "The teacher", f"{place}/sha256")
    network = _network_in(source, run_id, teacher.sha256)
    if teacher.network is None:
        return teacher.model_copy(update={"network": network})
    if _shapes(teacher.network, student) != _shapes(network, student):
        message = "The weights do not fit this network. Omit the network to use that of the weights."
        raise SpecRefused.at(f"{place}/network", "other_model", message)
    return teacher


def _check_finite(connection: sa.Connection, teacher: Teacher, run_id: str, pointer: str) -> None:
    """Refuse weights that are named by their SHA-256 and are of a run that diverged, unless of its best epoch."""
    row, stored = rows.by_id(connection, run_id), files.weights_of(connection, run_id)
    named = [file.at for file in stored if file.sha256 == teacher.sha256]
    if row is None or not named or "best" in named:
        return
    refusal = non_finite(named[0], row, [file.at for file in stored])
    if refusal is not None:
        raise SpecRefused.at(pointer, "diverged", f"{refusal} Omit sha256 then.")


def _network_in(spec: RunSpec, run_id: str | None, sha256: str | None) -> TeacherNetwork:
    """Return the network of the run that trained the weights, or as a student's spec in ``spec`` stores it."""
    if run_id is not None:
        return TeacherNetwork.of(spec)
    return next(one.network for one in spec.teachers if one.sha256 == sha256 and one.network is not None)


def _check_data(teacher: RunSpec, student: RunSpec, run_id: str, pointer: str) -> None:
    """Refuse a teacher that is not a network, or whose input shape or number of classes differs from the student's."""
    if not teacher.model.trains:
        message = f"{run_id} is of kind {teacher.model.kind!r}, which has no logits. Name the run of a network."
        raise SpecRefused.at(pointer, "no_network", message)
    actual, expected = ((list(spec.dataset.shape), spec.dataset.outputs) for spec in (teacher, student))
    if actual != expected:
        message = (
            f"{run_id} has {actual[1]} classes and rows of shape {actual[0]}; the student has {expected[1]} classes "
            f"and rows of shape {expected[0]}. They must be equal."
        )
        raise SpecRefused.at(pointer, "other_data", message)
    _check_embedding(teacher, student, run_id, pointer)


def _check_embedding(teacher: RunSpec, student: RunSpec, run_id: str, pointer: str) -> None:
    """Refuse a teacher that embeds other columns than the student, whose dataset its network is built on."""
    if teacher.dataset.embedded != student.dataset.embedded:
        message = (
            f"{run_id} embeds other columns of its table than the student, or in vectors of other lengths. Prepare the "
            "student's categories (dataset.columns) as the teacher's are."
        )
        raise SpecRefused.at(pointer, "other_data", message)


def _shapes(network: TeacherNetwork, student: RunSpec) -> dict[str, tuple[int, ...]]:
    shape = student.dataset.shape
    model = with_embedding(network.model, student.dataset.embedded)
    return {**model.parameters(shape, student.dataset.outputs), **model.buffers(shape)}
