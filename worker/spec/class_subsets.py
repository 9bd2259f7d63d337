"""Subsets of the classes: the labels that a dataset selects, and how many of their rows every split leaves.

Rows that validate and rows that test are those without a selection. How many rows of a class are left to train on may
depend on which rows validate. The number of training rows must not: it determines steps and schedules, and runs of
different splits share a stack. So it is the number that every split leaves: all rows if none validates, and the fewest
of any fold or stratified split. If each row is as likely as any other to validate, the rows of the selected classes
that do have a hypergeometric distribution. It is that of a sum of independent indicators, so Bernstein's inequality
bounds it. Rows in order of time, in groups, or designated by the data may all be of the selected classes.

Reference: Bernstein, 1946, "The theory of probabilities"; Vatutin and Mikhailov, 1982, "Limit theorems for the number
of empty cells in an equiprobable scheme for group allocation of particles" (the sum of indicators).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, StringConstraints

if TYPE_CHECKING:
    from worker.spec.families.dataset import Dataset

ClassLabel = Annotated[int, Field(ge=0)] | Annotated[str, StringConstraints(min_length=1, max_length=100)]
"""A class by its label, from 0 on, or by its name."""
RARE = 20.723
"""−ln of the probability that a split has fewer rows than promised, 1e-9."""
_COUNTS: dict[str, tuple[int, ...]] = {}
"""Rows of each class of datasets that come with the package, by digest."""


def labels_of(selected: Sequence[int | str], names: Sequence[str]) -> tuple[int | str, ...]:
    """Return the labels of classes given by label or name, in increasing order; ``selected`` if a name is unknown."""
    by_name = {name: label for label, name in enumerate(names)}
    labels = [by_name.get(one) if isinstance(one, str) else one for one in selected]
    known = [label for label in labels if label is not None]
    return tuple(sorted(known)) if len(known) == len(labels) else tuple(selected)


def known_labels(selected: Sequence[int | str], names: Sequence[str]) -> tuple[int, ...]:
    """Return the labels of the selected classes that exist, each once."""
    labels = labels_of(selected, names)
    return tuple(dict.fromkeys(one for one in labels if isinstance(one, int) and one < len(names)))


def counted(dataset: Dataset) -> tuple[int, ...] | None:
    """Return the training rows of each class of a dataset that needs no files; None if its target is a number."""
    if dataset.task == "regression":
        return None
    digest = dataset.digest()
    if digest not in _COUNTS:
        import numpy as np

        labels = dataset.load(Path()).train_y
        _COUNTS[digest] = tuple(np.bincount(labels, minlength=len(dataset.classes)).tolist())
    return _COUNTS[digest]


def rows_left(dataset: Dataset, labels: Sequence[int]) -> int | None:
    """Return how many rows of the classes ``labels`` every split leaves to train on; None if no count is known."""
    counts = dataset.rows_of_classes
    if counts is None:
        return None
    selected = sum(counts[label] for label in labels)
    if len(labels) == len(counts):
        return dataset.candidate_rows
    return max(0, selected - _most_held_out(dataset, counts, labels))


def _most_held_out(dataset: Dataset, counts: Sequence[int], labels: Sequence[int]) -> int:
    """Return the most rows of the classes ``labels`` that a split does not leave to train on."""
    held_out = dataset.validation_rows
    if not dataset.splits_at_random:
        return held_out + dataset.unused_rows
    if dataset.fold is not None:
        return _in_fold(counts, labels, dataset.fold.of)
    if dataset.stratified:
        return _in_strata(counts, labels, held_out)
    rows, share = sum(counts), sum(counts[label] for label in labels) / sum(counts)
    variance = held_out * share * (1 - share) * (rows - held_out) / max(1, rows - 1)
    excess = RARE / 3 + math.sqrt(RARE**2 / 9 + 2 * RARE * variance) if variance > 0 else 0.0
    return min(held_out, math.floor(held_out * share + excess))


def _in_fold(counts: Sequence[int], labels: Sequence[int], folds: int) -> int:
    """Return the most rows of the classes in a fold: rows in the order of their classes are dealt to them in turn."""

    def before(place: int, fold: int) -> int:
        return (place - fold + folds - 1) // folds

    ends = list(itertools.accumulate(counts))
    return max(
        sum(before(ends[label], fold) - before(ends[label] - counts[label], fold) for label in labels)
        for fold in range(folds)
    )


def _in_strata(counts: Sequence[int], labels: Sequence[int], held_out: int) -> int:
    """Return the rows of the classes that validate: evenly spaced ones of all rows in the order of their classes.

    The first row of each class trains, if there are enough rows for that.
    """
    spared = sum(counts) - sum(count > 0 for count in counts) >= held_out
    sizes = [count - (spared and count > 0) for count in counts]
    rows = sum(sizes)

    def before(place: int) -> int:
        return -(-place * held_out // max(1, rows))

    ends = list(itertools.accumulate(sizes))
    return sum(before(ends[label]) - before(ends[label] - sizes[label]) for label in labels)
