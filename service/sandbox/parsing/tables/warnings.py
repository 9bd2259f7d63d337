"""Warnings about a table that can be trained on, but perhaps not as its owner believes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from service.sandbox.parsing.sources import Values
from service.sandbox.parsing.splits import Split, mixed
from service.sandbox.parsing.tables.columns import CODED, Column
from service.sandbox.parsing.targets import Target

FEW_ROWS = 5
"""A class with fewer training rows cannot be in each of five folds."""
MOSTLY_MISSING = 0.5
SAMPLE_ROWS = 5000
"""Rows on which a column is refuted to determine the target, before all rows are sorted."""
SAME = 1e-12
"""Share of the target's variance that counts as none."""


def warnings_of(inputs: Sequence[Column], target: Target, split: Split) -> list[str]:
    """Return the warnings about a table, as sentences."""
    return [
        *_constant(inputs, split.train),
        *_mostly_missing(inputs, split.train),
        *_determining(inputs, target, split.train),
        *_small_classes(target, split.train),
        *_duplicates(inputs, split),
    ]


def _constant(inputs: Sequence[Column], train: Values) -> Iterator[str]:
    for column in inputs:
        values = column.values[train]
        known = values[~column.missing[train]]
        if not len(known):
            yield f"The column {column.name!r} has no value in the training part."
        elif len(known) == len(values) and (known == known[0]).all():
            yield f"The column {column.name!r} is constant in the training part, so it says nothing about the target."


def _mostly_missing(inputs: Sequence[Column], train: Values) -> Iterator[str]:
    for column in inputs:
        share = float(column.missing[train].mean())
        if MOSTLY_MISSING < share < 1:
            yield f"The column {column.name!r} has no value in {share:.0%} of the training rows."


def _determining(inputs: Sequence[Column], target: Target, train: Values) -> Iterator[str]:
    """Yield the columns of which one value alone gives the target: often an answer that was written down later."""
    y, is_class = target.values[train], target.task == "classification"
    for column in inputs:
        values = column.values[train]
        few = slice(SAMPLE_ROWS)
        if _determines(values[few], y[few], is_class=is_class, few=True) and _determines(values, y, is_class=is_class):
            yield (
                f"The column {column.name!r} alone determines the target. If it is known only after the target, "
                "leave it out."
            )


def _determines(values: Values, y: Values, *, is_class: bool, few: bool = False) -> bool:
    """Return whether rows with equal values have equal targets, and rows share values so often that this says much.

    ``few`` rows can only refute it.
    """
    ordered = np.sort(values)
    different = 1 + np.count_nonzero(ordered[1:] != ordered[:-1])
    if not few and not 1 < different <= len(y) // 2:
        return False
    distinct, codes, counts = np.unique(values, return_inverse=True, return_counts=True, equal_nan=True)
    if is_class:
        low, high = np.full(len(distinct), y.max()), np.full(len(distinct), y.min())
        np.minimum.at(low, codes, y)
        np.maximum.at(high, codes, y)
        return bool((low == high).all())
    means = np.bincount(codes, y) / counts
    return float(np.square(y - means[codes]).sum()) <= SAME * float(np.square(y - y.mean()).sum())


def _small_classes(target: Target, train: Values) -> Iterator[str]:
    if not target.classes:
        return
    for name, rows in zip(
        target.classes, np.bincount(target.values[train], minlength=len(target.classes)), strict=True
    ):
        if rows < FEW_ROWS:
            unit = "row" if rows == 1 else "rows"
            yield (
                f"The class {name!r} has {rows} training {unit}: some validation splits and folds will have none, and "
                "its accuracy says little."
            )


def _duplicates(inputs: Sequence[Column], split: Split) -> Iterator[str]:
    """Yield how many test rows have the same inputs as a training row; rows are compared by a hash of 64 bits."""
    hashes = np.zeros(len(inputs[0].values), np.uint64)
    for column in inputs:
        hashes = mixed(hashes + _bits(column))
    repeated = int(np.isin(hashes[split.test], hashes[split.train]).sum())
    if repeated:
        unit = "row has" if repeated == 1 else "rows have"
        yield f"{repeated:,} test {unit} the same inputs as a training row; test metrics may be too good."


def _bits(column: Column) -> Values:
    """Return the values of a column as integers, equal if and only if the values are, (N,) uint64."""
    if column.type in CODED:
        return column.values.astype(np.int64).view(np.uint64)
    values = np.where(column.missing, np.nan, column.values + 0.0)  # one zero, and one missing value
    return values.view(np.uint64)
