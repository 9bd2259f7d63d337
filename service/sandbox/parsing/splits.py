"""Which rows train and which test: as the file says, at random, or the last ones.

A random split of classes takes the same share of each. It depends on the number of rows, the classes and the seed
alone: rows are ordered by splitmix64 of their position, a hash that is the same everywhere and for ever.

Reference: Steele, Lea and Flood, 2014, "Fast splittable pseudorandom number generators".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from service.sandbox.parsing.options import TEST_SHARE, Options
from service.sandbox.parsing.refusals import Refused
from service.sandbox.parsing.sources import Source, Values
from service.sandbox.parsing.targets import Target

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX = ((np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB)))


class Split(NamedTuple):
    """Positions of the rows that train and of those that test, each in the file's order."""

    train: Values
    test: Values
    note: str
    order: str = "random"
    """``time`` where the test part comes after the training part."""


def split(source: Source, target: Target, options: Options) -> Split:
    """Split ``source`` as ``options`` request.

    Raises:
        Refused: A part would be empty, or a class would be in the test part only.
    """
    rows = len(target.values)
    if len(source.x) == 2:
        _check_no_options(options)
        train = len(source.x[0])
        parts = Split(np.arange(train), np.arange(train, rows), "The test part is the file's own.")
    else:
        parts = drawn(target, rows, options)
    check_parts(parts, target)
    return parts


def check_parts(parts: Split, target: Target) -> None:
    """Check that both parts have rows, and that every class trains.

    Raises:
        Refused: A part would be empty, or a class would be in the test part only.
    """
    if min(len(parts.train), len(parts.test)) == 0:
        rows = len(target.values)
        message = f"Of {rows} rows, {len(parts.train)} would train and {len(parts.test)} test; both parts need rows."
        raise Refused("too_few_rows", f"{message} A class needs two rows for one of them to test.")
    _check_classes(target, parts)


def _check_no_options(options: Options) -> None:
    for name in ("test_size", "order"):
        if getattr(options, name) is not None:
            raise Refused(
                "test_part_given", f"The file has a test part of its own, so leave out {name!r}.", parameter=name
            )


def drawn(target: Target, rows: int, options: Options) -> Split:
    """Return the last rows as the test part, or random ones.

    Raises:
        Refused: ``test_size`` does not fit the number of rows.
    """
    count = test_rows(rows, options)
    if options.order == "time":
        cut = rows - count
        return Split(np.arange(cut), np.arange(cut, rows), f"The last {count:,} rows test.", "time")
    chosen = _stratified(target, count, options.seed) if target.classes else shuffled(rows, options.seed)[:count]
    tests = np.zeros(rows, dtype=bool)
    tests[chosen] = True
    how = "the same share of each class, " if target.classes else ""
    note = f"{len(chosen):,} rows test, drawn at random ({how}seed {options.seed})."
    return Split(np.flatnonzero(~tests), np.flatnonzero(tests), note)


def test_rows(rows: int, options: Options) -> int:
    """Return the requested number of test rows.

    Raises:
        Refused: ``test_size`` does not fit the number of rows.
    """
    size = TEST_SHARE if options.test_size is None else options.test_size
    if size < 1:
        return max(1, round(size * rows))
    if size != int(size) or size >= rows:
        message = f"test_size is a share below 1 or a number of rows below the {rows} there are, not {size:g}."
        raise Refused("bad_test_size", message, parameter="test_size")
    return int(size)


def _stratified(target: Target, count: int, seed: int) -> Values:
    """The rows that test: ``count`` in all, of each class its share, and never all of a class."""
    labels, rows = target.values, len(target.values)
    sizes = np.bincount(labels, minlength=len(target.classes))
    exact = sizes * (count / rows)
    counts = np.minimum(np.floor(exact).astype(np.int64), sizes - 1)
    for label in np.argsort(-(exact - np.floor(exact)), kind="stable"):
        if counts.sum() >= count:
            break
        counts[label] += counts[label] < sizes[label] - 1
    order = shuffled(rows, seed)
    by_class = order[np.argsort(labels[order], kind="stable")]
    starts = np.cumsum(sizes) - sizes
    return np.concatenate([by_class[start : start + n] for start, n in zip(starts, counts, strict=True)])


def shuffled(rows: int, seed: int) -> Values:
    """The positions 0 … rows − 1 in the order of their hashes."""
    z = (np.arange(1, rows + 1, dtype=np.uint64) + np.array([seed], np.uint64) * np.uint64(rows)) * _GAMMA
    return np.argsort(mixed(z), kind="stable")


def mixed(z: Values) -> Values:
    """Return the hashes of numbers, (N,) uint64."""
    for shift, factor in _MIX:
        z = (z ^ (z >> shift)) * factor
    hashes: Values = z ^ (z >> np.uint64(31))
    return hashes


def _check_classes(target: Target, split: Split) -> None:
    if not target.classes:
        return
    trained = np.bincount(target.values[split.train], minlength=len(target.classes))
    if (trained == 0).any():
        name = target.classes[int(np.flatnonzero(trained == 0)[0])]
        raise Refused("class_not_trained", f"No row of the class {name!r} is in the training part.", place=name)
    if (trained > 0).sum() < 2:
        raise Refused("one_class", "The training part has one class only; there is nothing to tell apart.")
