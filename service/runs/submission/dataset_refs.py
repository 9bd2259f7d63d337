"""What a spec says of uploaded data: the server knows it, fills it in, and believes nobody else.

An upload is named by its content, so whoever can name it has it: a spec may name another owner's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import sqlalchemy as sa

from service.callers import Caller
from service.datasets import queries as datasets
from service.errors import FieldError, SpecRefused
from service.runs.submission import teachers
from service.runs.submission.review import NewRun
from service.store.rows import Row
from worker.spec.datasets.uploaded import Content, Uploaded
from worker.spec.families.dataset import Dataset
from worker.spec.regularizers.distillation import Distillation, Teacher
from worker.spec.run import RunSpec

SHOWN = 20
"""Datasets that a refusal lists."""


def content_of(row: Row) -> Content:
    """What is known of the dataset in ``row``."""
    names = ("task", "rows_train", "rows_test", "order")
    known = {name: getattr(row, name) for name in names}
    return Content(**known, shape=tuple(row.shape), classes=tuple(row.classes))


def names_upload(spec: RunSpec) -> bool:
    """Whether there is something to be filled in."""
    return any(True for _ in _uploads_in(spec))


def resolved(connection: sa.Connection, new: NewRun, caller: Caller) -> NewRun:
    """The run with what is known of the data that it, its transfer set and its teachers name.

    Raises:
        SpecRefused: there are no such data.
    """
    return replace(new, spec=_filled(connection, new.spec, caller)) if names_upload(new.spec) else new


def _filled(connection: sa.Connection, spec: RunSpec, caller: Caller) -> RunSpec:
    def known(dataset: Dataset) -> Dataset:
        if not isinstance(dataset, Uploaded):
            return dataset
        row = datasets.by_id(connection, dataset.id)
        if row is None:
            raise _unknown(connection, dataset.id, caller)
        return dataset.resolved(content_of(row))

    def taught(teacher: Teacher, _: str) -> Teacher:
        if teacher.spec is None:
            return teacher
        return teacher.model_copy(update={"spec": _filled(connection, teacher.spec, caller)})

    spec = teachers.changed(spec.model_copy(update={"dataset": known(spec.dataset)}), taught)
    parts = [
        part.model_copy(update={"transfer": part.transfer.model_copy(update={"dataset": known(part.transfer.dataset)})})
        if isinstance(part, Distillation) and part.transfer is not None
        else part
        for part in spec.regularizers
    ]
    return spec.model_copy(update={"regularizers": tuple(parts)})


def hold(connection: sa.Connection, specs: Iterable[RunSpec], caller: Caller) -> None:
    """See that the uploads which ``specs`` name are still there, and let nobody delete them in this transaction.

    Raises:
        SpecRefused: one of them was deleted meanwhile.
    """
    named = {upload for spec in specs for upload in _uploads_in(spec)}
    gone = sorted(named - datasets.hold(connection, sorted(named))) if named else []
    if gone:
        raise _unknown(connection, gone[0], caller)


def _uploads_in(spec: RunSpec) -> Iterator[str]:
    """The ids of the uploads that a spec names, its own, its transfer sets' and its teachers'."""
    if isinstance(spec.dataset, Uploaded):
        yield spec.dataset.id
    for part in spec.regularizers:
        if isinstance(part, Distillation):
            if part.transfer is not None and isinstance(part.transfer.dataset, Uploaded):
                yield part.transfer.dataset.id
            for teacher in part.teachers:
                yield from _uploads_in(teacher.spec) if teacher.spec is not None else ()


def _unknown(connection: sa.Connection, dataset_id: str, caller: Caller) -> SpecRefused:
    known = datasets.page(connection, before=None, limit=SHOWN, owner=caller.only)
    told = ", ".join(f"{row.id} ({row.name})" if row.name else row.id for row in known)
    what = f"The newest are {told}." if told else "None is there; POST /v1/datasets uploads one."
    message = f"There is no uploaded dataset {dataset_id!r}. {what}"
    ids = [row.id for row in known]
    return SpecRefused(message, errors=[FieldError("/dataset/id", "dataset_not_found", message, ids)])
