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

    from worker.spec.families.dataset import Dataset

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


def parted(dataset: Dataset, targets: np.ndarray[Any, Any]) -> tuple[Rows, Rows]:
    """Return the training rows in order, and the validation rows; ``targets`` are of the whole training part."""
    import numpy as np

    order = permutation(dataset.split_seed, "split", 0, len(targets))
    if dataset.chronological:
        held_out = np.arange(len(targets) - dataset.validation_size, len(targets))
        train = order[order < len(targets) - dataset.validation_size]
    elif dataset.fold is None:
        held_out, train = np.split(order, [dataset.validation_size])
    else:
        held_out, train = dataset.fold.split(order, targets)
    counts = dataset.class_rows
    return (_imbalanced(train, targets, counts) if counts else train[: dataset.training_rows]), held_out


def _imbalanced(rows: Rows, labels: Rows, counts: list[int]) -> Rows:
    """Return the first ``counts[c]`` rows of each class c, in their order; other rows fill up missing ones."""
    import numpy as np

    first = np.concatenate([np.flatnonzero(labels[rows] == c)[:count] for c, count in enumerate(counts)])
    spare = np.setdiff1d(np.arange(len(rows)), first)[: sum(counts) - len(first)]
    chosen: Rows = rows[np.sort(np.concatenate([first, spare]))]
    return chosen
