"""Step-down maxT: p-values of several comparisons over the same seeds, corrected for their number.

If no arm differs, the differences of a seed could as well all have had the other sign. So whole seeds are flipped, all
comparisons together, and each statistic t = |Σd| / √(Σd²) is compared with the largest one under every flip. The
comparison with the largest t is compared with the maximum over all, the next with the maximum over the others, and so
on. The maximum keeps the correlation of comparisons that share a baseline, so the smallest corrected p is 2/2ⁿ however
many there are. Scaling by √(Σd²) gives every t the same variance under flips, with any number of seeds.

Reference: Westfall and Young, 1993, "Resampling-based multiple testing"; Romano and Wolf, 2005, "Exact and approximate
stepdown methods for multiple hypothesis testing".
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import numpy as np

from service.statistics.sign_flip import (
    ROUNDING,
    VECTORS_PER_BATCH,
    Booleans,
    Floats,
    Indices,
    is_beyond,
    random_absolutes,
    random_sums,
    subset_sums,
)

EXACT_UP_TO = 16
"""Number of seeds up to which all flips are counted."""
FLIPS = 20_000
"""Random flips for more seeds: the first of those of the sign-flip test. Fewer, so that 50 arms take a tenth of a
second."""


def max_t(differences: Floats, p_values: Sequence[float]) -> list[float]:
    """Return the corrected p-values of m comparisons, in their order.

    ``differences`` has shape (n seeds, m comparisons), with 0 where a comparison lacks the seed. ``p_values`` are the
    comparisons' sign-flip p-values. Ties count against rejection.
    """
    if len(p_values) < 2:
        return list(p_values)
    statistics = np.abs(differences.sum(axis=0)) / _scales(differences)
    order = np.argsort(-statistics, kind="stable")
    slack = 4 * ROUNDING * np.sqrt(len(differences))
    steps: list[float] = []
    largest: Floats | None = None  # over the comparisons with smaller statistics, under every flip
    for i, (reached, flipped) in zip(order[::-1], _flips(differences[:, order[::-1]]), strict=True):
        if largest is None:
            steps.append(p_values[i])
            largest = flipped
        else:
            steps.append(max(p_values[i], _share(reached | (largest >= statistics[i] - slack), len(differences))))
            np.maximum(largest, flipped, out=largest)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(steps[::-1])
    return [float(p) for p in adjusted]


def _share(reached: Booleans, n: int) -> float:
    count = int(reached.sum())
    return count / len(reached) if n <= EXACT_UP_TO else (count + 1) / (FLIPS + 1)


def _scales(differences: Floats) -> Floats:
    """Return √(Σd²) of every column, and 1 for columns of zeros."""
    scales = np.linalg.norm(differences, axis=0)
    return np.where(scales > 0, scales, 1.0)


def _flips(differences: Floats) -> Iterator[tuple[Booleans, Floats]]:
    """Yield for every column, under each flip, whether its sum reaches the observed one, and its statistic."""
    n = len(differences)
    for first in range(0, differences.shape[1], VECTORS_PER_BATCH):
        columns = differences[:, first : first + VECTORS_PER_BATCH]
        columns = columns * np.where(columns.sum(axis=0) < 0, -1.0, 1.0)
        exact = n <= EXACT_UP_TO
        sums = np.ascontiguousarray(subset_sums(columns[1:]).T) if exact else random_sums(columns, FLIPS)[0]
        for d, flipped, scale in zip(columns.T, sums, _scales(columns), strict=True):
            absolutes = (
                functools.partial(_exact_absolutes, d) if exact else functools.partial(random_absolutes, d, FLIPS)
            )
            total = float(d.sum())
            yield is_beyond(flipped, total, float(np.abs(d).sum()), absolutes), np.abs(total - 2 * flipped) / scale


def _exact_absolutes(d: Floats, indices: Indices) -> Floats:
    """Return the sums of |d| over the subsets with these indices, which do not include the first row.

    Flipping a subset or its complement gives the same statistics, so the first sign can be fixed.
    """
    members = ((indices[:, None] >> np.arange(len(d) - 1)) & 1).astype(np.float64)
    return members @ np.abs(d[1:])
