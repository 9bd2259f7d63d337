"""Rows of other datasets as those of a model's: the same columns and classes, matched by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.sandbox.predicting.dataset_rows import RawRows
from service.sandbox.predicting.loaded_models import Loaded, OrderRefused
from service.sandbox.predicting.messages import TableNotes
from worker.spec.families.dataset import Dataset
from worker.spec.tables.dataset import is_typed_table
from worker.spec.tables.rows import MISSING, UNSEEN, TableRows
from worker.spec.tables.schema import TableSchema

MAX_LISTED = 20
"""Names that a message lists."""


def matched(part: RawRows, other: Dataset, loaded: Loaded) -> RawRows:
    """Return rows of another dataset as those of the model's.

    Raises:
        OrderRefused: They have another form.
    """
    x, y, weights = part
    own = loaded.spec.dataset
    if other.task != own.task:
        message = f"The model was trained for {own.task}, and the target of the dataset is one of {other.task}."
        raise OrderRefused("other_data", message)
    if isinstance(x, TableRows) != is_typed_table(own) or (not is_typed_table(own) and other.shape != own.shape):
        message = f"Rows of the dataset have another form than those of the model: {_form(other)}, not {_form(own)}."
        raise OrderRefused("other_data", message)
    if isinstance(x, TableRows):
        assert loaded.table is not None, "the model's dataset is a typed table"
        x = _with_schema(x, loaded.table.schema, {one.name for one in loaded.table.columns.used(loaded.table.schema)})
    return RawRows(x, _labels(y, other.classes, own.classes) if own.classes else y, weights)


def _form(dataset: Dataset) -> str:
    return "columns of a table" if is_typed_table(dataset) else "×".join(map(str, dataset.shape))


def _labels(y: NDArray[Any], theirs: Sequence[str], own: Sequence[str]) -> NDArray[np.int64]:
    """Return labels of the model's classes.

    Raises:
        OrderRefused: A class is none of them.
    """
    unknown = [name for i, name in enumerate(theirs) if name not in own and (y == i).any()]
    if unknown:
        message = (
            f"The dataset has classes that the model does not know: {_listed(unknown)}. It knows {_listed(own)}. "
            "A model can be evaluated on rows of its own classes only."
        )
        raise OrderRefused("other_data", message)
    places = np.array([own.index(name) if name in own else -1 for name in theirs], np.int64)
    labels: NDArray[np.int64] = places[y]
    return labels


def _with_schema(rows: TableRows, schema: TableSchema, used: set[str]) -> TableRows:
    """Return rows of another table with the columns and levels of ``schema``.

    Raises:
        OrderRefused: A column that the model uses is missing, or of another type.
    """
    wrong = [
        f"{column.name!r} ({column.type})"
        for column in schema.columns
        if column.name in used
        and (column.name not in rows.schema.by_name or rows.schema.by_name[column.name].type != column.type)
    ]
    if wrong:
        message = f"The dataset lacks columns that the model needs: {', '.join(wrong[:MAX_LISTED])}."
        raise OrderRefused("other_data", message)
    numbers, codes = list[NDArray[Any]](), list[NDArray[Any]]()
    for column in schema.columns:
        if column.name not in used:
            values = np.full(len(rows), MISSING if column.coded else np.nan)
        else:
            values = rows.values(column.name)
            if column.coded:
                places = [
                    column.levels.index(level) if level in column.levels else UNSEEN
                    for level in rows.schema.by_name[column.name].levels
                ]
                values = np.array([*places, UNSEEN, MISSING])[values]  # the codes −2 and −1 are the last places
        (codes if column.coded else numbers).append(values)
    return TableRows(
        schema,
        np.stack(numbers, 1) if numbers else np.empty((len(rows), 0)),
        np.stack(codes, 1).astype(np.int32) if codes else np.empty((len(rows), 0), np.int32),
    )


def notes_on(parts: Sequence[NDArray[Any] | TableRows], loaded: Loaded) -> TableNotes:
    """Return in how many rows each column that the model uses is missing or unseen; of tables only."""
    tables = [part for part in parts if isinstance(part, TableRows)]
    if loaded.table is None or not tables:
        return TableNotes()
    missing, unseen = dict[str, int](), dict[str, int]()
    for column in loaded.table.columns.used(loaded.table.schema):
        values = np.concatenate([table.values(column.name) for table in tables])
        missing[column.name] = int((values == MISSING).sum() if column.coded else np.isnan(values).sum())
        unseen[column.name] = int((values == UNSEEN).sum()) if column.coded else 0
    present = [{name: count for name, count in counts.items() if count} for counts in (missing, unseen)]
    return TableNotes(missing=present[0], unseen=present[1])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:MAX_LISTED])) + (", …" if len(names) > MAX_LISTED else "")
