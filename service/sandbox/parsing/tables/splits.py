"""Which rows of a table train, validate and test: as a column says, by group, in order of time, or at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.sandbox.parsing.options import Options
from service.sandbox.parsing.refusals import Refused, quoted
from service.sandbox.parsing.sources import Values
from service.sandbox.parsing.splits import Split, check_parts, drawn, shuffled, test_rows
from service.sandbox.parsing.tables.columns import CODED, Column
from service.sandbox.parsing.targets import Target

TRAINS, VALIDATES, TESTS = (
    ("train", "training"),
    ("validation", "val", "valid", "validate", "dev"),
    ("test", "testing", "holdout"),
)
"""The texts of a split column, in any case."""


@dataclass(frozen=True, kw_only=True)
class TableSplit:
    """The training part and the test part, and which training rows must validate."""

    parts: Split
    validates: Values | None = None
    """Of each row of the training part, bool; None if the run decides."""
    groups: Values | None = None
    """The group of each row of the training part, from 0."""

    @property
    def largest_group(self) -> int:
        """Rows of the training part's largest group; 0 without groups."""
        return 0 if self.groups is None else int(np.bincount(self.groups).max())


def split_table(target: Target, split: Column | None, group: Column | None, options: Options) -> TableSplit:
    """Split the rows of ``target`` as the columns and the options request.

    Raises:
        Refused: Options contradict each other, or a part would be empty.
    """
    if split is not None:
        return _as_column_says(target, split, group, options)
    if group is None:
        parts = drawn(target, len(target.values), options)
        check_parts(parts, target)
        return TableSplit(parts=parts)
    if options.order == "time":
        message = "Rows in order of time are split by time, so group does not apply; leave one of both out."
        raise Refused("two_splits", message, parameter="group")
    groups = _codes(group, "group")
    tests = _groups_to_test(groups, options)
    chosen = np.isin(groups, tests)
    note = f"{chosen.sum():,} rows of {len(tests):,} groups of {group.name!r} test (seed {options.seed})."
    parts = Split(np.flatnonzero(~chosen), np.flatnonzero(chosen), note)
    check_parts(parts, target)
    return TableSplit(parts=parts, groups=_numbered(groups[parts.train]))


def _codes(column: Column, role: str) -> Values:
    """Return the number of each row's value; every row needs one."""
    missing = column.missing
    if missing.any():
        row = int(np.flatnonzero(missing)[0]) + 1
        message = f"The column {column.name!r} has no value in {missing.sum():,} rows, the first of them row {row}."
        raise Refused("missing_values", message, parameter=role, row=row, column=column.name)
    return _numbered(column.values)


def _numbered(values: Values) -> Values:
    """Return the values numbered from 0 in their order, int64."""
    codes: Values = np.unique(values, return_inverse=True)[1].astype(np.int64)
    return codes


def _groups_to_test(groups: Values, options: Options) -> Values:
    """Return random groups with about as many rows as requested."""
    sizes = np.bincount(groups)
    if len(sizes) < 2:
        raise Refused("one_group", "All rows are of one group, so no group can test.", parameter="group")
    order = shuffled(len(sizes), options.seed)
    count = test_rows(len(groups), options)
    cumulated = np.cumsum(sizes[order])
    tested = int(np.argmin(np.abs(cumulated[:-1] - count))) + 1
    return order[:tested]


def _as_column_says(target: Target, split: Column, group: Column | None, options: Options) -> TableSplit:
    for name in ("test_size", "order"):
        if getattr(options, name) is not None:
            message = f"The column {split.name!r} says which rows test, so leave out {name!r}."
            raise Refused("test_part_given", message, parameter=name)
    if group is not None:
        message = f"The column {split.name!r} says which rows validate and test, so group does not apply; leave it out."
        raise Refused("two_splits", message, parameter="group")
    part = _parts(split)
    note = f"The column {split.name!r} says which rows test."
    parts = Split(np.flatnonzero(part < 2), np.flatnonzero(part == 2), note)
    check_parts(parts, target)
    validates = part[parts.train] == 1
    if validates.all():
        raise Refused("no_training_rows", f"No row of the column {split.name!r} is for training.", parameter="split")
    return TableSplit(parts=parts, validates=validates if validates.any() else None)


def _parts(split: Column) -> Values:
    """Return 0, 1 or 2 for rows that train, validate or test."""
    number = {name: i for i, names in enumerate((TRAINS, VALIDATES, TESTS)) for name in names}
    known = ", ".join(names[0] for names in (TRAINS, VALIDATES, TESTS))
    if split.type not in CODED:
        message = f"The column {split.name!r} is a {split.type}; a split column has the texts {known}."
        raise Refused("bad_split", message, parameter="split", column=split.name)
    codes = np.array([number.get(level.strip().lower(), -1) for level in split.levels], np.int64)
    part = np.where(split.values < 0, -1, codes[split.values])
    if (part < 0).any():
        row = int(np.flatnonzero(part < 0)[0])
        text = "" if split.values[row] < 0 else split.levels[split.values[row]]
        message = f"Row {row + 1} of the column {split.name!r} is {quoted(text)!r}; it can be {known}."
        raise Refused("bad_split", message, parameter="split", row=row + 1, column=split.name, cell=text)
    return part
