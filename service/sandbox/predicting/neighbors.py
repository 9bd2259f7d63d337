"""Models that keep their training rows: votes of the nearest, selected as by :mod:`worker.spec.nearest`, without torch.

Distances of bytes are exact. Of other rows, products select the candidates, and sums of squared differences, added in
the order of :func:`worker.spec.sums.summed`, rank them. Of equally distant rows the first is the nearer one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.spec.nearest import EXACT_WIDTH

BLOCK = 2**21
"""Distances that are held at once."""


class Neighbors(NamedTuple):
    """The training rows of a model, (N, D), their labels (N,), and how many neighbors vote."""

    rows: NDArray[Any]
    labels: NDArray[np.int64]
    k: int
    classes: int

    def logits(self, queries: NDArray[Any]) -> NDArray[np.float32]:
        """Return the logarithms of votes (n, classes) on the class of each of ``queries`` (n, D)."""
        k = min(self.k, len(self.rows))
        logarithms = np.log(np.arange(k + 1, dtype=np.float32) + np.float32(1 / self.classes))
        blocks = [np.empty((0, self.classes), np.float32)]
        for places in _nearest(self.rows, queries, k):
            cells = np.arange(len(places))[:, None] * self.classes + self.labels[places]
            votes = np.bincount(cells.ravel(), minlength=len(places) * self.classes)
            blocks.append(logarithms[votes.reshape(-1, self.classes)])
        return np.concatenate(blocks)


def _nearest(rows: NDArray[Any], queries: NDArray[Any], k: int) -> Iterator[NDArray[np.int64]]:
    """Yield the places (n, k) of the nearest of ``rows`` to each query, in any order, for a block of queries a time."""
    whole = rows.dtype == np.uint8
    dtype = np.float32 if whole and rows.shape[1] <= EXACT_WIDTH else np.float64
    center = 128.0 if whole else rows.mean(0, dtype=np.float64)
    y = _shifted(rows, center, dtype)
    norms = _norms(y)
    size = max(1, BLOCK // len(rows))
    for first in range(0, len(queries), size):
        block = queries[first : first + size]
        q = _shifted(block, center, dtype)
        own = _norms(q)
        distances = own[:, None] + norms - 2 * (q @ y.T).astype(np.float64)
        slack = np.zeros(len(q)) if whole else 64 * (rows.shape[1] + 8) * 2.0**-53 * (own + norms.max())
        bounds = np.partition(distances, k - 1, axis=1)[:, k - 1] + slack
        places = np.empty((len(q), k), np.int64)
        for i, bound in enumerate(bounds):
            near = np.flatnonzero(distances[i] <= bound)
            if len(near) > k:
                exact = distances[i, near] if whole else _summed(rows[near], block[i])
                near = near[np.argsort(exact, kind="stable")[:k]]
            places[i] = near
        yield places


def _shifted(rows: NDArray[Any], center: Any, dtype: Any) -> NDArray[Any]:
    """Return rows as they are multiplied: near zero, where bytes multiply exactly in float32."""
    shifted: NDArray[Any] = (rows.astype(np.float64) - center).astype(dtype)
    return shifted


def _norms(rows: NDArray[Any]) -> NDArray[np.float64]:
    norms: NDArray[np.float64] = np.square(rows, dtype=np.float64).sum(1)
    return norms


def _summed(rows: NDArray[Any], query: NDArray[Any]) -> NDArray[np.float64]:
    """Return the squared distances (n,) of ``rows`` (n, D) to ``query`` (D,): halves are added, odd ends last."""
    x = np.square(rows.astype(np.float64) - query.astype(np.float64))
    while (width := x.shape[1]) > 1:
        half = width // 2
        added = x[:, :half] + x[:, half : 2 * half]
        if width % 2:
            added[:, 0] += x[:, -1]
        x = added
    distances: NDArray[np.float64] = x[:, 0]
    return distances
