"""References from specs to uploaded datasets: the server fills in their content and overwrites what clients send.

An upload's id is the digest of its content, so a spec may reference an upload of another owner.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

import sqlalchemy as sa

from service.callers import Caller
from service.errors import FieldError, SpecRefused
from service.pointers import pointer_to
from service.runs.queries import datasets
from service.runs.submission.new_run import NewRun
from service.runs.submission.token_columns import token_errors
from service.store.rows import Row
from worker.spec.datasets.uploaded import Content, Uploaded
from worker.spec.families.dataset import Dataset
from worker.spec.preceding import specs_in
from worker.spec.references import replaced
from worker.spec.run import RunSpec
from worker.spec.tables import files
from worker.spec.tables.columns import Columns
from worker.spec.tables.schema import TableSchema

COMMON_FACTS = ("task", "shape", "classes", "rows_train", "rows_test", "order")
"""Facts that every dataset has a column for; others are in the column ``facts``."""
MAX_LISTED = 20
"""Most datasets that an error lists."""


def content_of(row: Row) -> Content:
    """Return the stored content description of an uploaded dataset."""
    values = {name: getattr(row, name) for name in COMMON_FACTS}
    return Content.model_validate_json(json.dumps({**values, **(row.facts or {})}))


def schema_of(row: Row) -> TableSchema:
    """Return the inputs of a stored table."""
    names = ("name", "type", "levels", "has_time", "monthly", "decimal", "day_first")
    inputs = [
        {**{name: column[name] for name in names if name in column}, "missing": column["missing"] > 0}
        for column in row.schema["columns"]
        if column["role"] == "input"
    ]
    return TableSchema.model_validate_json(json.dumps({"columns": inputs}))


def _check_columns(columns: Columns, schema: TableSchema, pointer: str) -> None:
    """Check that the preparations of the dataset at ``pointer`` apply to a table.

    Raises:
        SpecRefused: A column does not exist, or has another type.
    """
    _refuse_any(
        [
            FieldError(f"{pointer}{pointer_to('columns', *place)}", "incompatible", one.message, one.allowed)
            for place, one in columns.objections(schema)
        ]
    )


def _refuse_any(errors: list[FieldError]) -> None:
    """Refuse the spec if it has errors."""
    if errors:
        raise SpecRefused(errors[0].message if len(errors) == 1 else f"{len(errors)} things are wrong.", errors=errors)


def references_upload(spec: RunSpec) -> bool:
    """Return whether the spec, a transfer set, or the spec of a run to train first references an upload."""
    return any(True for _ in _upload_ids(spec))


def resolve(connection: sa.Connection, new: NewRun, caller: Caller) -> NewRun:
    """Return the run with the content of every referenced upload filled in.

    Raises:
        SpecRefused: A referenced dataset does not exist.
    """
    return replace(new, spec=_resolve_spec(connection, new.spec, caller)) if references_upload(new.spec) else new


def _resolve_spec(connection: sa.Connection, spec: RunSpec, caller: Caller) -> RunSpec:
    def resolve_dataset(dataset: Dataset, pointer: str) -> Dataset:
        if not isinstance(dataset, Uploaded):
            return dataset
        row = datasets.by_id(connection, dataset.id)
        if row is None:
            raise _not_found(connection, dataset.id, caller, pointer)
        content = content_of(row)
        if content.layout == files.LAYOUT:
            schema = schema_of(row)
            _check_columns(dataset.preparation, schema, pointer)
            shape = (len(dataset.preparation.features(schema)),)
            embedded = dataset.preparation.embedded(schema)
            content = content.model_copy(update={"shape": shape, "embedded": embedded})
        if dataset.train_classes is not None:
            counts = datasets.rows_of_classes(connection, dataset.id)
            content = content.model_copy(update={"rows_of_classes": counts})
        return dataset.resolved(content)

    for place, dataset in spec.references().datasets.items():
        spec = replaced(spec, place, resolve_dataset(dataset, pointer_to(*place)))
    _check_tokens(connection, spec)
    for place, first in specs_in(spec).items():
        try:
            spec = replaced(spec, place, _resolve_spec(connection, first, caller))
        except SpecRefused as refusal:
            raise refusal.below(pointer_to(*place)) from refusal
    return spec


def _check_tokens(connection: sa.Connection, spec: RunSpec) -> None:
    """Check that the columns of an uploaded table are tokens, if the model takes tokens.

    Raises:
        SpecRefused: A column has fractions, negative numbers, or tokens beyond the vocabulary.
    """
    if isinstance(spec.dataset, Uploaded) and spec.dataset.is_table:
        row = datasets.by_id(connection, spec.dataset.id)
        assert row is not None, f"{spec.dataset.id} was just resolved"
        _refuse_any(token_errors(spec, schema_of(row), row.schema["columns"]))


def lock(connection: sa.Connection, specs: Iterable[RunSpec], caller: Caller) -> None:
    """Keep the uploads that ``specs`` reference from being deleted until the transaction ends.

    Raises:
        SpecRefused: A dataset was deleted in the meantime.
    """
    referenced = {upload for spec in specs for upload in _upload_ids(spec)}
    missing = sorted(referenced - datasets.lock(connection, sorted(referenced))) if referenced else []
    if missing:
        raise _not_found(connection, missing[0], caller)


def _upload_ids(spec: RunSpec) -> Iterator[str]:
    """Yield the ids of the uploads that the spec, its transfer sets and the runs to train first reference."""
    for dataset in spec.references().datasets.values():
        if dataset.upload_id is not None:
            yield dataset.upload_id
    for first in specs_in(spec).values():
        yield from _upload_ids(first)


def _not_found(connection: sa.Connection, dataset_id: str, caller: Caller, pointer: str = "/dataset") -> SpecRefused:
    existing = datasets.newest(connection, MAX_LISTED, owner=caller.only)
    names = ", ".join(f"{row.id} ({row.name})" if row.name else row.id for row in existing)
    hint = f"The newest are {names}." if names else "Upload one with POST /v1/datasets."
    message = f"Uploaded dataset {dataset_id!r} does not exist. {hint}"
    return SpecRefused.at(f"{pointer}/id", "dataset_not_found", message, allowed=[row.id for row in existing])
