"""Random orders without a generator or torch: positions sorted by a hash of (seed, purpose, name, epoch).

The order depends on the spec only, so every program computes the same rows as the engine.

Reference: Steele, Lea and Flood, 2014, "Fast splittable pseudorandom number generators" (splitmix64's mixing function,
here as a counter-based generator; keys are BLAKE2b digests).
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from worker.spec.families.dataset import Arrays, Dataset

    Rows = np.ndarray[Any, np.dtype[np.int64]]

GAMMA = 0x9E3779B97F4A7C15
MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
LAST_SHIFT = 31


@functools.lru_cache(maxsize=65_536)
def stream_key(seed: int, purpose: str, name: str = "", epoch: int = 0) -> int:
    """Return the key of one stream, as a signed 64-bit integer."""
    text = f"{seed}\0{purpose}\0{name}\0{epoch}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8, person=b"fitwell").digest(), "little", signed=True)


def permutation(seed: int, purpose: str, epoch: int, count: int) -> Rows:
    """Return a random order of 0 … count − 1: the positions sorted by their hash."""
    import numpy as np

    z = np.arange(1, count + 1, dtype=np.uint64)  # arithmetic modulo 2⁶⁴, as the engine's
    z *= np.uint64(GAMMA)
    z += np.uint64(stream_key(seed, purpose, "", epoch) % 2**64)
    for shift, factor in MIX:
        z ^= z >> np.uint64(shift)
        z *= np.uint64(factor)
    z ^= z >> np.uint64(LAST_SHIFT)
    bits = max(count - 1, 1).bit_length()
    # The position sits in the low bits: no two values are equal, so every sorting algorithm gives the same order.
    packed = (z.view(np.int64) & ~((1 << bits) - 1)) | np.arange(count)
    packed.sort()
    order: Rows = packed & ((1 << bits) - 1)
    return order


def parted(dataset: Dataset, arrays: Arrays) -> tuple[Rows, Rows]:
    """Return the training rows in order, and the validation rows, of the training part of ``arrays``.

    Raises:
        ValueError: The split has fewer rows of the selected classes than promised, which is as good as impossible.
    """
    targets = arrays.train_y
    order = permutation(dataset.split_seed, "split", 0, len(targets))
    train, held_out = _halves(dataset, arrays, order)
    if (labels := dataset.selected_labels) is not None:
        train = _of_classes(train, targets, labels, dataset.training_rows)
    counts = dataset.class_rows
    return (_imbalanced(train, targets, counts) if counts else train[: dataset.training_rows]), held_out


def _of_classes(rows: Rows, targets: Rows, labels: tuple[int, ...], count: int) -> Rows:
    """Return the rows whose class is one of ``labels``, at least ``count``, in their order."""
    import numpy as np

    chosen: Rows = rows[np.isin(targets[rows], labels)]
    if len(chosen) < count:
        raise ValueError(f"the split leaves {len(chosen)} rows of the selected classes, and {count} train")
    return chosen


def _halves(dataset: Dataset, arrays: Arrays, order: Rows) -> tuple[Rows, Rows]:
    """Return all rows that may train, and those that validate, both in ``order``."""
    import numpy as np

    rows = len(order)
    if arrays.train_validates is not None:
        validates = arrays.train_validates[order]
        return order[~validates], order[validates]
    if dataset.chronological:
        first = rows - dataset.validation_size
        return order[order < first - dataset.unused_rows], np.arange(first, rows)
    if arrays.train_groups is not None:
        return _by_group(dataset, arrays.train_groups, order)
    if dataset.fold is not None:
        held_out, train = dataset.fold.split(order, arrays.train_y)
    elif dataset.stratified:
        held_out, train = _stratified(order, arrays.train_y, dataset.validation_size)
    else:
        held_out, train = np.split(order, [dataset.validation_size])
    return train, held_out


def _by_group(dataset: Dataset, groups: Rows, order: Rows) -> tuple[Rows, Rows]:
    """Return training and validation rows of different groups.

    Rows are in the order of their groups, which is random; an interval of them validates. The other rows of a group
    that the interval cuts are unused, so that every split has the same number of validation rows.
    """
    import numpy as np

    rank = np.empty(groups.max() + 1, np.int64)
    rank[permutation(dataset.split_seed, "groups", 0, len(rank))] = np.arange(len(rank))
    in_groups = order[np.argsort(rank[groups[order]], kind="stable")]
    fold = dataset.fold
    first = 0 if fold is None else sum(fold.model_copy(update={"index": i}).size(len(order)) for i in range(fold.index))
    held_out = in_groups[first : first + dataset.validation_rows]
    trains = ~np.isin(groups, groups[held_out])
    return order[trains[order]], held_out


def _stratified(order: Rows, labels: Rows, count: int) -> tuple[Rows, Rows]:
    """Return ``count`` validation rows, the same share of each class, and the training rows, both in ``order``.

    The first row of each class trains, if there are enough rows for that.
    """
    import numpy as np

    _, firsts = np.unique(labels[order], return_index=True)
    candidates = np.delete(order, firsts) if len(order) - len(firsts) >= count else order
    by_class = candidates[np.argsort(labels[candidates], kind="stable")]
    chosen = by_class[np.arange(count) * len(by_class) // max(count, 1)]
    validates = np.isin(order, chosen)
    return order[validates], order[~validates]


def _imbalanced(rows: Rows, labels: Rows, counts: list[int]) -> Rows:
    """Return the first ``counts[c]`` rows of each class c, in their order; other rows fill up missing ones."""
    import numpy as np

    first = np.concatenate([np.flatnonzero(labels[rows] == c)[:count] for c, count in enumerate(counts)])
    spare = np.setdiff1d(np.arange(len(rows)), first)[: sum(counts) - len(first)]
    chosen: Rows = rows[np.sort(np.concatenate([first, spare]))]
    return chosen


def noisy(labels: Rows, dataset: Dataset) -> Rows:
    """Return the labels with the share ``label_noise`` replaced by another class; ``split_seed`` decides which.

    If the dataset selects classes, the other class is one of them.
    """
    import numpy as np

    count = round(dataset.label_noise * len(labels))
    if not count:
        return labels
    every, selected = range(len(dataset.classes)), dataset.selected_labels
    classes = np.array(sorted(every if selected is None else selected), np.int64)
    chosen = permutation(dataset.split_seed, "label noise", 0, len(labels))[:count]
    shift = 1 + permutation(dataset.split_seed, "noisy label", 0, len(labels))[:count] % (len(classes) - 1)
    replaced = labels.copy()
    replaced[chosen] = classes[(np.searchsorted(classes, labels[chosen]) + shift) % len(classes)]
    return replaced


def oversampled(order: Rows, labels: Rows, seed: int, epoch: int) -> Rows:
    """Return rows of which each class has the same number, in random order, given a random ``order`` of all rows.

    ``labels`` are those of the rows. The n places of an epoch go to the classes in turn. A class fills its places with
    its rows in random order, over and over; so they are as often as each other, or once more.
    """
    import numpy as np

    present, chosen = np.unique(labels), np.empty_like(order)
    turn, place = order % len(present), order // len(present)
    for i, label in enumerate(present):
        own = np.flatnonzero(labels == label)
        own = own[permutation(seed, f"oversample/{label}", epoch, len(own))]
        mine = turn == i
        chosen[mine] = own[place[mine] % len(own)]
    return chosen
