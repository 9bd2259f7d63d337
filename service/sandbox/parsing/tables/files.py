"""The file of a typed table: tensors of numbers, dates and codes, and the columns' names and types in the header.

The levels of a category are those of the training part; a text that only test rows have is stored as ``UNSEEN``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from service.sandbox.parsing.sources import Values
from service.sandbox.parsing.tables.columns import BOOLEAN_LEVELS, CODED, MISSING, Column
from service.sandbox.parsing.tables.splits import TableSplit
from service.sandbox.parsing.targets import Target
from service.sandbox.parsing.writer import AnyTensor, ColumnsTensor, Tensor, Written, write_tensors

LAYOUT = 2
UNSEEN = -2


def with_training_levels(column: Column, train: Values) -> Column:
    """Return a category whose levels are those of the rows at ``train``; other columns are unchanged."""
    if column.type not in CODED or column.type == "boolean":
        return column
    present = np.zeros(len(column.levels) + 1, bool)
    present[column.values[train]] = True  # a missing value marks the last place
    places = np.flatnonzero(present[:-1])
    order = sorted(places.tolist(), key=lambda i: column.levels[i])
    codes = np.full(len(column.levels) + 1, UNSEEN, np.int32)
    codes[order] = np.arange(len(order))
    codes[-1] = MISSING
    return replace(column, values=codes[column.values], levels=tuple(column.levels[i] for i in order))


@dataclass(frozen=True, kw_only=True)
class TypedTable:
    """A table that is ready to be stored; ``about`` are further facts for the header."""

    inputs: Sequence[Column]
    target: Target
    split: TableSplit
    weights: Values | None
    about: Mapping[str, Any]


def write_table(path: Path, table: TypedTable) -> Written:
    """Write the table; it is on the disk when this returns."""
    inputs, target, split, weights = table.inputs, table.target, table.split, table.weights
    train, test = split.parts.train, split.parts.test
    description = {
        "layout": LAYOUT,
        "task": target.task,
        "classes": list(target.classes),
        "inputs": [described(column, train) for column in inputs],
        **table.about,
    }
    numbers = [column.values for column in inputs if column.type not in CODED]
    codes = [column.values for column in inputs if column.type in CODED]
    tensors: dict[str, AnyTensor] = {
        "train_y": Tensor(target.values, train),
        "test_y": Tensor(target.values, test),
        "train_numbers": ColumnsTensor(numbers, train, np.dtype(np.float64)),
        "test_numbers": ColumnsTensor(numbers, test, np.dtype(np.float64)),
    }
    if weights is not None:
        tensors |= {"train_weights": Tensor(weights, train), "test_weights": Tensor(weights, test)}
    if split.groups is not None:
        tensors["train_groups"] = Tensor(split.groups, np.arange(len(train)))
    tensors |= {
        "train_codes": ColumnsTensor(codes, train, np.dtype(np.int32)),
        "test_codes": ColumnsTensor(codes, test, np.dtype(np.int32)),
    }
    if split.validates is not None:
        tensors["train_validates"] = Tensor(split.validates.astype(np.uint8), np.arange(len(train)))
    return write_tensors(path, description, tensors)


def described(column: Column, train: Values) -> dict[str, Any]:
    """Return name, type and style of an input as JSON values."""
    levels = BOOLEAN_LEVELS if column.type == "boolean" else column.levels
    return {
        "name": column.name,
        "type": column.type,
        **({"levels": list(levels)} if column.type in CODED else {}),
        **({"missing": True} if column.missing[train].any() else {}),
        **({"has_time": True} if column.has_time else {}),
        **({} if column.decimal == "." else {"decimal": column.decimal}),
        **({} if column.day_first is None else {"day_first": column.day_first}),
        **({"monthly": True} if _is_monthly(column, train) else {}),
    }


def _is_monthly(column: Column, train: Values) -> bool:
    """Return whether all dates are first days of months, so that their weekdays mean nothing."""
    if column.type != "date" or column.has_time:
        return False
    known = column.values[train]
    days = known[~np.isnan(known)].astype("datetime64[s]").astype("datetime64[D]")
    return bool(len(days)) and bool((days == days.astype("datetime64[M]")).all())
