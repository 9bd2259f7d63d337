"""The correction of p-values for the number of comparisons in a family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from service.statistics.family import holm
from service.statistics.max_t import max_t
from service.statistics.pairing import PairedSample
from service.statistics.sign_flip import Floats

Correction = Literal["max_t", "holm"]


def corrected_by_holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Apply Holm's correction; a comparison without p still counts as one of the family."""
    adjusted = holm([1.0 if p is None else p for p in p_values])
    return [None if p is None else a for p, a in zip(p_values, adjusted, strict=True)]


def corrected_by_max_t(samples: Sequence[PairedSample], p_values: Sequence[float | None]) -> list[float | None]:
    """Apply step-down maxT to the pairs in sign-flip tests, and Bonferroni's correction to those in sign tests.

    If runs diverged in some pairs, α is shared between the two groups by their numbers of pairs.
    """
    family = len(samples)
    flipped = [not sample.some_diverged for sample in samples]
    adjusted = [
        None if p is None or flips else min(1.0, family * p) for p, flips in zip(p_values, flipped, strict=True)
    ]
    tested = [i for i in range(family) if flipped[i] and p_values[i] is not None]
    steps = max_t(_by_seed([samples[i] for i in tested]), [p for i in tested if (p := p_values[i]) is not None])
    for i, p in zip(tested, steps, strict=True):
        adjusted[i] = min(1.0, p * family / sum(flipped))
    return adjusted


def _by_seed(samples: Sequence[PairedSample]) -> Floats:
    """Return the differences with a row per seed and a column per sample; 0 where a sample lacks the seed."""
    rows = {seed: row for row, seed in enumerate(sorted({seed for sample in samples for seed in sample.seeds}))}
    differences = np.zeros((len(rows), len(samples)))
    for column, sample in enumerate(samples):
        differences[[rows[seed] for seed in sample.seeds], column] = sample.differences
    return differences
